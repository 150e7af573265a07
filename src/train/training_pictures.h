/// \file
/// The pictures of a training, beside those of its closing validation. Rank 0 only; each function returns a sentence for
/// every picture that could not be drawn.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "data/data_loader.h"

namespace valbench {

/// labels.png.
std::vector<std::string> draw_labels(const YoloDataset& train, const std::filesystem::path& folder);

/// train_batch0.png to train_batch2.png: what the network sees first, mosaics and all. Takes batches of epoch 0 from the
/// loader, which is started anew afterwards: before the training begins, so that no time of it is spent here.
std::vector<std::string> draw_train_batches(const YoloDataset& train, DataLoader& loader, const std::filesystem::path& folder);

/// results.png from the folder's results.csv; nothing without one.
std::vector<std::string> draw_results(const std::filesystem::path& folder);

}  // namespace valbench
