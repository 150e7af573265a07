/// \file
/// What a finished training leaves of its checkpoints (reference yolov5.md §4.10).
#pragma once
#include <string>
#include <vector>

#include "scenario/run_spec.h"

namespace valbench {

/// Takes the training state out of weights/last and weights/best, so that the EMA in fp16 is what they hold, and lays the same beside them
/// as last.pt and best.pt: plain files that Python reads with torch.load(weights_only=True). Numbered checkpoints stay as they are.
void strip_checkpoints(const RunSpec& spec, const std::vector<std::string>& class_names);

}  // namespace valbench
