/// \file
/// The keys of a validation strategy, as they stand under `validation`, in a strategy and in `axes` (see scenarios/README.md).
#pragma once
#include <string>
#include <vector>

#include "scenario/run_spec.h"
#include "scenario/yaml_section.h"

namespace valbench {

const std::vector<std::string>& validation_keys();

/// Reads the keys that are there; the rest of `spec` stays. Throws InputError naming file, line, value and what is allowed.
void read_validation(const YamlSection& section, ValidationSpec& spec);

}  // namespace valbench
