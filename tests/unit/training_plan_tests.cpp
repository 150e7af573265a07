// What a rank trains on: samplers of v7.0 and head, rect, quad, image weights (reference yolov5.md §4.6, §5.9, §5.10).
#include "data/training_plan.h"

#include <algorithm>
#include <set>

#include "data/image_weights.h"
#include "data/sampler.h"
#include "data/yolo_dataset.h"
#include "tests/support/catch.h"

using namespace valbench;

namespace {

// Aspect ratios that differ: image i is 100 + 10 i high and 200 wide.
YoloDataset images_of(int count) {
  YoloDataset data;
  data.classes = 2;
  for (int i = 0; i < count; ++i) data.images.push_back({"", 100 + 10 * i, 200, {}, {}});
  return data;
}

std::vector<std::int64_t> flat(const TrainingPlan& plan) {
  std::vector<std::int64_t> out;
  for (const BatchPlan& batch : plan.batches) out.insert(out.end(), batch.images.begin(), batch.images.end());
  return out;
}

std::vector<std::int64_t> order(const YoloDataset& data, const TrainingPlanOptions& options, int epoch) {
  return flat(plan_training_epoch(data, options, epoch, {}));
}

}  // namespace

TEST_CASE("numpy's legacy permutation is reproduced") {
  // numpy.random.RandomState(0).permutation(10)
  CHECK(numpy_permutation(10, 0) == std::vector<std::int64_t>{2, 8, 4, 9, 1, 6, 7, 3, 0, 5});
  CHECK(numpy_permutation(1, 0) == std::vector<std::int64_t>{0});
  CHECK(numpy_permutation(0, 0).empty());
}

TEST_CASE("one rank shuffles anew every epoch, several repeat the first order once, as YOLOv5's loader does") {
  const YoloDataset data = images_of(20);
  const Compat compat = GENERATE(Compat::v7_0, Compat::head);
  TrainingPlanOptions options{.batch_size = 4, .compat = compat};
  CHECK(order(data, options, 0) != order(data, options, 1));
  options.world_size = 2;
  CHECK(order(data, options, 0) == order(data, options, 1));
  CHECK(order(data, options, 1) != order(data, options, 2));
  CHECK(order(data, options, 2) != order(data, options, 3));
}

TEST_CASE("under v7.0 ranks share each epoch's permutation, under head each keeps its images for the whole run") {
  const YoloDataset data = images_of(21);
  for (const Compat compat : {Compat::v7_0, Compat::head}) {
    std::set<std::int64_t> seen;
    std::vector<std::set<std::int64_t>> first, later;
    for (int rank = 0; rank < 4; ++rank) {
      const TrainingPlanOptions options{.batch_size = 4, .rank = rank, .world_size = 4, .compat = compat};
      const auto images = order(data, options, 0), other = order(data, options, 5);
      CHECK(images.size() == 6);
      seen.insert(images.begin(), images.end());
      first.emplace_back(images.begin(), images.end());
      later.emplace_back(other.begin(), other.end());
    }
    CHECK(seen.size() == 21);
    CHECK((first == later) == (compat == Compat::head));
  }
  const TrainingPlan head =
      plan_training_epoch(data, {.rank = 1, .world_size = 4, .compat = Compat::head}, 0, {});
  CHECK(head.partners == fixed_share(21, 1, 4));
  CHECK(plan_training_epoch(data, {.rank = 1, .world_size = 4}, 0, {}).partners.empty());
}

TEST_CASE("more ranks than images leave no rank without any") {
  for (int rank = 0; rank < 5; ++rank) {
    CHECK(order(images_of(2), {.rank = rank, .world_size = 5, .compat = Compat::head}, 0).size() == 1);
  }
}

TEST_CASE("rect batches come in the order of aspect ratios at minimal shapes without padding, every epoch alike") {
  const YoloDataset data = images_of(10);
  const TrainingPlanOptions options{.imgsz = 320, .batch_size = 4, .rect = true};
  const TrainingPlan plan = plan_training_epoch(data, options, 0, {});
  REQUIRE(plan.batches.size() == 3);
  CHECK(flat(plan) == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(plan.batches[0].width == 320);
  CHECK(plan.batches[0].height == 224);  // ceil(130/200 * 320 / 32) * 32
  CHECK(flat(plan_training_epoch(data, options, 7, {})) == flat(plan));
}

TEST_CASE("rect batches are dealt whole, as many to every rank") {
  const YoloDataset data = images_of(10);
  std::multiset<std::int64_t> seen;
  for (int rank = 0; rank < 2; ++rank) {
    const TrainingPlan plan =
        plan_training_epoch(data, {.imgsz = 320, .batch_size = 4, .rank = rank, .world_size = 2, .rect = true}, 0, {});
    REQUIRE(plan.batches.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) CHECK(plan.batches[i].index == static_cast<std::int64_t>(i));
    for (const std::int64_t image : flat(plan)) seen.insert(image);
  }
  for (std::int64_t i = 0; i < 10; ++i) CHECK(seen.count(i) >= 1);
}

TEST_CASE("quad batches hold whole fours; head drops a short last batch, v7.0 keeps its fours") {
  const YoloDataset data = images_of(22);
  const auto sizes = [&](Compat compat) {
    std::vector<std::size_t> out;
    for (const BatchPlan& b :
         plan_training_epoch(data, {.batch_size = 8, .quad = true, .compat = compat}, 0, {}).batches)
      out.push_back(b.images.size());
    return out;
  };
  CHECK(sizes(Compat::v7_0) == std::vector<std::size_t>{8, 8, 4});
  CHECK(sizes(Compat::head) == std::vector<std::size_t>{8, 8});
}

TEST_CASE("rect batches of quads are as many on every rank, though some batches are dropped") {
  const auto [images, compat] = GENERATE(table<int, Compat>({{9, Compat::v7_0}, {9, Compat::head}, {13, Compat::head}, {22, Compat::v7_0}}));
  const YoloDataset data = images_of(images);
  std::vector<std::size_t> batches;
  for (int rank = 0; rank < 2; ++rank) {
    const TrainingPlan plan = plan_training_epoch(
        data, {.imgsz = 320, .batch_size = 4, .rank = rank, .world_size = 2, .rect = true, .quad = true, .compat = compat}, 0, {});
    for (const BatchPlan& batch : plan.batches) CHECK(batch.images.size() == 4);
    batches.push_back(plan.batches.size());
  }
  INFO(images << " images");
  CHECK(batches == std::vector<std::size_t>(2, (static_cast<std::size_t>(images) / 4 + 1) / 2));
}

TEST_CASE("image weights follow the formula: rare classes and badly detected ones weigh more") {
  YoloDataset data = images_of(4);
  // Class 0 three times, class 1 once; image 3 is a background.
  data.images[0].labels = {{0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}};
  data.images[1].labels = {{0, 0, 0, 0, 0}};
  data.images[2].labels = {{1, 0, 0, 0, 0}};
  const auto first = image_weights(data, {});
  CHECK(first[0] == Approx(2 * 0.25));  // 1/3 of 1/3 + 1
  CHECK(first[1] == Approx(0.25));
  CHECK(first[2] == Approx(0.75));
  CHECK(first[3] == 0);
  const auto later = image_weights(data, {0.5, 0.9});
  CHECK(later[0] == Approx(2 * 0.25 * 0.25));
  CHECK(later[2] == Approx(0.75 * 0.01));
  data.classes = 3;  // a class without labels counts as one label
  CHECK(image_weights(data, {})[2] == Approx(1 / (1.0 / 3 + 1 + 1)));
}

TEST_CASE("images are drawn by weight, never one of weight 0") {
  SampleRandom random(1, 2, 3);
  std::vector<double> weights(1000, 0);
  weights[10] = 1, weights[20] = 3;
  const auto drawn = draw_by_weight(weights, random);
  REQUIRE(drawn.size() == 1000);
  const auto twenties = std::count(drawn.begin(), drawn.end(), 20);
  CHECK(twenties + std::count(drawn.begin(), drawn.end(), 10) == 1000);
  CHECK(static_cast<double>(twenties) == Approx(750).margin(60));
  CHECK(draw_by_weight({0, 0, 0}, random).size() == 3);
}

TEST_CASE("with image weights an epoch draws as many images as there are, its mosaics from the same draw") {
  YoloDataset data = images_of(30);
  for (std::size_t i = 0; i < 30; ++i) data.images[i].labels = {{i < 25 ? 0.0F : 1.0F, 0, 0, 0, 0}};
  const TrainingPlanOptions options{.batch_size = 8, .image_weights = true};
  const TrainingPlan plan = plan_training_epoch(data, options, 3, {0, 0});
  CHECK(flat(plan).size() == 30);
  auto drawn = flat(plan), partners = plan.partners;
  std::sort(drawn.begin(), drawn.end());
  std::sort(partners.begin(), partners.end());
  CHECK(drawn == partners);
  // A perfect class is drawn no more.
  for (const std::int64_t image : flat(plan_training_epoch(data, options, 3, {1, 0}))) CHECK(image >= 25);
}
