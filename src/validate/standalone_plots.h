/// \file
/// The pictures of a stand-alone validation: curves, confusion matrix, the first batches with labels and detections.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "validate/standalone.h"

namespace valbench {

/// PR_curve.png, F1_curve.png, P_curve.png, R_curve.png (none where no detection is right) and confusion_matrix.png. Adds a sentence for each
/// that could not be drawn.
void write_curve_pictures(const StandaloneResult& result, const std::filesystem::path& folder, std::vector<std::string>& warnings);

/// Those, val_batchN_labels.png and val_batchN_pred.png, where the spec asks for plots. Returns a sentence for each that could
/// not be drawn. Rank 0 only, after everything that is timed.
std::vector<std::string> write_standalone_pictures(const StandaloneResult& result, const ValSpec& spec,
                                                   const std::shared_ptr<const YoloDataset>& dataset,
                                                   const std::vector<BatchPlan>& plan);

}  // namespace valbench
