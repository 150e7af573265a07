#include "train/training_pictures.h"

#include <fmt/format.h>

#include "base/path_kind.h"
#include "validate/batch_pictures.h"

namespace valbench {

std::vector<std::string> draw_labels(const YoloDataset& train, const std::filesystem::path& folder) {
  std::vector<std::string> warnings;
  draw_or_warn("labels.png", warnings, [&] {
    std::vector<LabelBox> labels;
    for (const ImageEntry& image : train.images) {
      for (const LabelRow& row : image.labels) labels.push_back({static_cast<int>(row.cls), row.x, row.y, row.w, row.h});
    }
    write_labels_png(folder / "labels.png", labels, train.names);
  });
  return warnings;
}

std::vector<std::string> draw_train_batches(const YoloDataset& train, DataLoader& loader, const std::filesystem::path& folder) {
  std::vector<std::string> warnings;
  draw_or_warn("train_batch", warnings, [&] {
    loader.start(0);
    for (std::size_t b = 0; b < kPicturedBatches; ++b) {
      const std::optional<Batch> batch = loader.next();
      if (!batch) return;
      write_batch_png(folder / fmt::format("train_batch{}.png", b), labelled_images(*batch, train), train.names);
    }
  });
  return warnings;
}

std::vector<std::string> draw_results(const std::filesystem::path& folder) {
  std::vector<std::string> warnings;
  if (!path_exists(folder / "results.csv")) return warnings;
  draw_or_warn("results.png", warnings,
               [&] { write_results_png(folder / "results.png", read_results_csv(folder / "results.csv")); });
  return warnings;
}

}  // namespace valbench
