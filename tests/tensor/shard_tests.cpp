// How validations are dealt to ranks (validate/shard.h).
#include "validate/shard.h"

#include <algorithm>
#include <map>

#include "tests/support/catch.h"

using namespace valbench;

namespace {

BatchPlan batch(std::int64_t index, std::size_t images, int height, int width) {
  BatchPlan plan;
  plan.index = index;
  plan.images.resize(images);
  plan.height = height, plan.width = width;
  return plan;
}

std::vector<std::int64_t> indices(const std::vector<BatchPlan>& batches) {
  std::vector<std::int64_t> out;
  for (const BatchPlan& b : batches) out.push_back(b.index);
  return out;
}

YoloDataset square_images(std::size_t count) {
  YoloDataset dataset;
  dataset.images.resize(count);
  for (ImageEntry& image : dataset.images) image.width = image.height = 64;
  return dataset;
}

/// A score of the shard's images in their order, as the evaluator leaves it, after separate_repetitions().
PartialScore scored(const Shard& shard, std::int64_t images, int rank, int world_size) {
  PartialScore score;
  for (const BatchPlan& b : shard.batches) {
    for (const std::int64_t image : b.images) score.matches.images.push_back({image, 0, 0});
  }
  separate_repetitions(shard, images, rank, world_size, score);
  return score;
}

}  // namespace

TEST_CASE("whole batches are dealt in turn, or balanced by their pixels, each to exactly one rank") {
  const std::vector<BatchPlan> batches = {batch(0, 4, 64, 64), batch(1, 4, 64, 640), batch(2, 4, 64, 64), batch(3, 4, 640, 64),
                                          batch(4, 1, 64, 64)};
  CHECK(indices(share_of_batches(batches, ShardMode::batches, 0, 2)) == std::vector<std::int64_t>{0, 2, 4});
  CHECK(indices(share_of_batches(batches, ShardMode::batches, 1, 2)) == std::vector<std::int64_t>{1, 3});
  // The two long batches go apart, the rest fills up.
  CHECK(indices(share_of_batches(batches, ShardMode::batches_balanced, 0, 2)) == std::vector<std::int64_t>{0, 1, 4});
  CHECK(indices(share_of_batches(batches, ShardMode::batches_balanced, 1, 2)) == std::vector<std::int64_t>{2, 3});
  CHECK(share_of_batches({batches.front()}, ShardMode::batches_balanced, 3, 4).empty());
}

TEST_CASE("images padded to equal shares are scored once, and their repetitions once more") {
  const std::int64_t count = GENERATE(1, 5, 6, 7);
  const int world_size = GENERATE(1, 2, 3, 4);
  const YoloDataset dataset = square_images(static_cast<std::size_t>(count));
  std::vector<std::int64_t> images;
  for (std::int64_t i = 0; i < count; ++i) images.push_back(i);
  std::vector<PartialScore> parts;
  std::map<std::int64_t, int> losses;
  for (int rank = 0; rank < world_size; ++rank) {
    const Shard shard = share_of_images(dataset, images, {}, 64, 2, 32, rank, world_size);
    for (const BatchPlan& b : shard.batches) ++losses[b.index];
    parts.push_back(scored(shard, count, rank, world_size));
    CHECK(parts.back().matches.images.size() == static_cast<std::size_t>((count + world_size - 1) / world_size));
  }
  for (const auto& [index, ranks] : losses) CHECK(ranks == 1);
  const PartialScore merged = merge_scores(parts);  // Throws where two have one id.
  const auto originals = std::count_if(merged.matches.images.begin(), merged.matches.images.end(),
                                       [&](const MatchSet::Image& image) { return image.id < count; });
  CHECK(originals == count);
}
