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
  virtual std::vector<std::string> warnings() const {
    return {};
  }  ///< One sentence each: images that the cache cannot hold.
};

struct TrainLoaderOptions {
  int imgsz = 640;
  int batch_size = 16;  ///< Of this rank.
  int rank = 0, world_size = 1;
  std::uint64_t seed = 0;
  bool augment = true;
  Hyperparameters hyp;
  int workers = 1;
  bool cache_images = true;
  bool pin_memory = false;
};

/// Shuffled training batches; mosaic, perspective, HSV and flips by hyp. Samples by YOLOv5's DistributedSampler rule
/// (§5.10).
std::unique_ptr<DataLoader> make_train_loader(std::shared_ptr<const YoloDataset> dataset,
                                              const TrainLoaderOptions& options);

/// The given batches in the given order (a rank's shard of plan_validation_batches()). No augmentation.
std::unique_ptr<DataLoader> make_validation_loader(std::shared_ptr<const YoloDataset> dataset,
                                                   std::vector<BatchPlan> batches, int workers, bool cache_images,
                                                   bool pin_memory);

}  // namespace valbench
