/// \file
/// YOLOv5's training options (reference yolov5.md §4.6, §8.1): their keys in a scenario, and which of them exclude each other.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "scenario/run_spec.h"
#include "scenario/yaml_section.h"

namespace valbench {

/// The keys at the top of a scenario that read_training_keys() reads.
const std::vector<std::string>& training_keys();

/// Reads them into `spec`. Ranks, batch size and device must be known already.
void read_training_keys(const YamlSection& root, RunSpec& spec);

/// Options that exclude each other: the one at fault, why, and what is allowed instead.
struct OptionConflict {
  std::string key, reason, allowed;
};

/// The first conflict of a spec, with the placement of its own validation. Freezing is checked against the model where that is built.
std::optional<OptionConflict> find_option_conflict(const RunSpec& spec);

}  // namespace valbench
