/// \file
/// Which images a rank trains on in an epoch, in which batches (reference yolov5.md §4.6, §5.9, §5.10).
#pragma once
#include <cstdint>
#include <vector>

#include "data/batch_plan.h"
#include "scenario/run_spec.h"

namespace valbench {

class YoloDataset;

/// What the plan of an epoch depends on, beside the data set.
struct TrainingPlanOptions {
  int imgsz = 640, stride = 32;
  int batch_size = 16;  ///< Of this rank.
  int rank = 0, world_size = 1;
  std::uint64_t seed = 0;
  bool rect = false, quad = false, image_weights = false;
  Compat compat = Compat::v7_0;
};

/// An epoch of one rank.
struct TrainingPlan {
  std::vector<BatchPlan> batches;
  std::vector<std::int64_t> partners;  ///< Images that mosaics draw from, repeats counting; empty = all.
};

/// The batches of an epoch. Shuffled: DistributedSampler's rule under v7.0, a fixed share of the images for every rank
/// under head; in both the second epoch of several ranks repeats the order of the first, as YOLOv5's prefetching
/// loader makes it. Rect: minimal shapes, padding 0, in the order of aspect ratios, whole batches dealt to the ranks.
/// \param class_map of the last validation, for image weights; empty = none yet.
TrainingPlan plan_training_epoch(const YoloDataset& dataset, const TrainingPlanOptions& options, int epoch,
                                 const std::vector<double>& class_map);

}  // namespace valbench
