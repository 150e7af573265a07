#include "validate/batch_pictures.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace valbench {
namespace {

namespace fs = std::filesystem;

/// From original pixels back into the network input: what scale_to_native() undoes.
BatchBox input_box(const Detection& d, const ImageGeometry& geometry) {
  const auto gain = static_cast<float>(geometry.ratio_h);
  const auto x = static_cast<float>(geometry.pad_w), y = static_cast<float>(geometry.pad_h);
  return {d.x1 * gain + x, d.y1 * gain + y, d.x2 * gain + x, d.y2 * gain + y, static_cast<int>(d.cls), d.score};
}

std::vector<BatchImage> bare_images(const Batch& batch, const YoloDataset& dataset) {
  const auto height = static_cast<int>(batch.images.size(2)), width = static_cast<int>(batch.images.size(3));
  const std::size_t bytes = std::size_t{3} * static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  const auto* pixels = batch.images.const_data_ptr<std::uint8_t>();
  std::vector<BatchImage> images;
  for (std::size_t i = 0; i < static_cast<std::size_t>(batch.images.size(0)); ++i) {
    const ImageEntry& entry = dataset.images.at(static_cast<std::size_t>(batch.geometry.at(i).image));
    images.push_back({.height = height,
                      .width = width,
                      .rgb = std::span(pixels + i * bytes, bytes),
                      .planar = true,
                      .name = entry.file.filename().string(),
                      .boxes = {}});
  }
  return images;
}

void add_detections(const std::vector<ImageDetections>& detections, const Batch& batch, std::vector<BatchImage>& images) {
  for (std::size_t i = 0; i < images.size(); ++i) {
    const ImageGeometry& geometry = batch.geometry[i];
    const auto found = std::find_if(detections.begin(), detections.end(),
                                    [&](const ImageDetections& image) { return image.image == geometry.image; });
    if (found == detections.end()) continue;
    for (const Detection& d : found->detections) {
      if (d.score > kPicturedScore) images[i].boxes.push_back(input_box(d, geometry));
    }
    // The strongest is drawn last, over the others.
    std::reverse(images[i].boxes.begin(), images[i].boxes.end());
  }
}

/// The first batches, with no more images than a picture shows.
std::vector<BatchPlan> pictured_batches(const std::vector<BatchPlan>& plan) {
  std::vector<BatchPlan> first(plan.begin(), plan.begin() + static_cast<std::ptrdiff_t>(std::min(plan.size(), kPicturedBatches)));
  for (BatchPlan& batch : first) batch.images.resize(std::min(batch.images.size(), kMaxBatchImages));
  return first;
}

}  // namespace

std::vector<BatchImage> labelled_images(const Batch& batch, const YoloDataset& dataset) {
  std::vector<BatchImage> images = bare_images(batch, dataset);
  const float* row = batch.targets.const_data_ptr<float>();
  for (std::int64_t i = 0; i < batch.targets.size(0); ++i, row += 6) {
    BatchImage& image = images.at(static_cast<std::size_t>(row[0]));
    const float x = row[2] * static_cast<float>(image.width), y = row[3] * static_cast<float>(image.height);
    const float w = row[4] * static_cast<float>(image.width), h = row[5] * static_cast<float>(image.height);
    image.boxes.push_back({x - w / 2, y - h / 2, x + w / 2, y + h / 2, static_cast<int>(row[1])});
  }
  return images;
}

void draw_or_warn(const std::string& picture, std::vector<std::string>& warnings, const std::function<void()>& draw) {
  try {
    draw();
  } catch (const std::exception& error) {
    warnings.push_back(picture + " was not drawn: " + error.what());
  }
}

std::vector<std::int64_t> pictured_images(const std::vector<BatchPlan>& plan) {
  std::vector<std::int64_t> images;
  for (const BatchPlan& batch : pictured_batches(plan)) images.insert(images.end(), batch.images.begin(), batch.images.end());
  return images;
}

void write_val_batches(const std::vector<ImageDetections>& detections, const std::vector<std::string>& names,
                       const std::shared_ptr<const YoloDataset>& dataset, const std::vector<BatchPlan>& plan, int workers,
                       const fs::path& folder, std::vector<std::string>& warnings) {
  const std::vector<BatchPlan> batches = pictured_batches(plan);
  draw_or_warn("val_batch", warnings, [&] {
    const auto loader = make_validation_loader(dataset, batches, workers, false, false);
    loader->start(0);
    for (std::size_t b = 0; b < batches.size(); ++b) {
      const std::optional<Batch> batch = loader->next();
      if (!batch) return;
      write_batch_png(folder / fmt::format("val_batch{}_labels.png", b), labelled_images(*batch, *dataset), names);
      std::vector<BatchImage> predicted = bare_images(*batch, *dataset);
      add_detections(detections, *batch, predicted);
      write_batch_png(folder / fmt::format("val_batch{}_pred.png", b), predicted, names);
    }
  });
}

}  // namespace valbench
