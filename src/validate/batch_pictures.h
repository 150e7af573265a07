/// \file
/// Batches as pictures: what goes into the network, with the boxes of labels or detections.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/data_loader.h"
#include "plots/plots.h"
#include "validate/standalone.h"

namespace valbench {

inline constexpr std::size_t kPicturedBatches = 3;  ///< As many as YOLOv5 draws.
inline constexpr float kPicturedScore = 0.25F;      ///< Weaker detections are left out of pictures.

/// The images of a batch with its labels, named by their files. They refer to the batch's pixels.
std::vector<BatchImage> labelled_images(const Batch& batch, const YoloDataset& dataset);

/// Runs `draw`. Pictures must not cost a training or validation its numbers: what goes wrong becomes a warning.
void draw_or_warn(const std::string& picture, std::vector<std::string>& warnings, const std::function<void()>& draw);

/// Indices of the images that val_batch pictures show.
std::vector<std::int64_t> pictured_images(const std::vector<BatchPlan>& plan);

/// val_batchN_labels.png and val_batchN_pred.png of the first batches, which are loaded anew. `detections` hold those of
/// pictured_images().
void write_val_batches(const std::vector<ImageDetections>& detections, const std::vector<std::string>& names,
                       const std::shared_ptr<const YoloDataset>& dataset, const std::vector<BatchPlan>& plan, int workers,
                       const std::filesystem::path& folder, std::vector<std::string>& warnings);

}  // namespace valbench
