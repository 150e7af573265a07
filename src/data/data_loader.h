/// \file
/// Batches for training and validation, prefetched by worker threads.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/batch_plan.h"
#include "data/yolo_dataset.h"
#include "scenario/run_spec.h"

namespace valbench {

/// Images and labels of one step.
struct Batch {
  at::Tensor images;   ///< uint8 (N, 3, H, W), RGB, contiguous; pinned when asked for.
  at::Tensor targets;  ///< float32 (n, 6): image in batch, class, x, y, w, h, normalised to the network input.
  std::vector<ImageGeometry> geometry;  ///< One per image; how to get back to the original image.
};

/// Hands out batches in a fixed order whatever the number of workers. next() waits only when the workers are behind.
class DataLoader {
 public:
  virtual ~DataLoader() = default;
  /// The next batch of the pass, or nothing at its end.
  virtual std::optional<Batch> next() = 0;
  /// Starts a pass: epoch number for training (order and augmentation depend on seed, epoch and image alone); ignored
  /// by validation. Prefetching begins here.
  virtual void start(int epoch) = 0;
  virtual std::size_t batches() const = 0;  ///< Per pass, on this rank.
  /// mAP50-95 of each class at the last validation; a training loader with image weights draws by it from the next pass
  /// on.
  virtual void set_class_map(std::vector<double> class_map) { static_cast<void>(class_map); }
  virtual std::vector<std::string> warnings() const {
    return {};
  }  ///< One sentence each: images that the cache cannot hold.
};

/// Where a loader keeps decoded, resized images.
struct ImageCache {
  CacheMode mode = CacheMode::ram;
  std::filesystem::path folder;  ///< Of the user's cache: for `disk`, in its pixels/. Empty = as `none`.
};

struct TrainLoaderOptions {
  int imgsz = 640;
  int stride = 32;
  int batch_size = 16;  ///< Of this rank.
  int rank = 0, world_size = 1;
  std::uint64_t seed = 0;
  bool augment = true;
  Hyperparameters hyp;
  bool rect = false;           ///< Minimal shapes, no mosaic, no shuffling.
  bool quad = false;           ///< Four images collated into one: needs a batch of 4 or more.
  bool image_weights = false;  ///< Images drawn by set_class_map(); one rank only.
  Compat compat = Compat::v7_0;
  int workers = 1;
  ImageCache cache;
  bool pin_memory = false;
};

/// Training batches as training_plan.h has them; mosaic, mixup, copy-paste, perspective, HSV and flips by hyp. Throws
/// InputError for options that do not go together.
std::unique_ptr<DataLoader> make_train_loader(std::shared_ptr<const YoloDataset> dataset,
                                              const TrainLoaderOptions& options);

/// The given batches in the given order (a rank's shard of plan_validation_batches()). No augmentation.
std::unique_ptr<DataLoader> make_validation_loader(std::shared_ptr<const YoloDataset> dataset,
                                                   std::vector<BatchPlan> batches, int workers, bool cache_images,
                                                   bool pin_memory);

struct ValidationLoaderOptions {
  int workers = 1;
  ImageCache cache;
  bool pin_memory = false;
  Compat compat = Compat::v7_0;
};
std::unique_ptr<DataLoader> make_validation_loader(std::shared_ptr<const YoloDataset> dataset,
                                                   std::vector<BatchPlan> batches,
                                                   const ValidationLoaderOptions& options);

}  // namespace valbench
