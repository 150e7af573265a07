#include "data/data_loader.h"

#include <ATen/ATen.h>

#include <filesystem>

#include "base/error.h"
#include "data/synthetic_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"

using namespace valbench;
using Catch::Matchers::Contains;
using valbench::test::ScratchFolder;

namespace {

struct Fixture {
  ScratchFolder folder;
  std::shared_ptr<YoloDataset> dataset;

  Fixture() {
    SyntheticSpec spec;
    spec.train_images = 22;
    spec.val_images = 1;
    make_synthetic_dataset(spec, folder.path() / "set");
    dataset = std::make_shared<YoloDataset>(
        load_yolo_dataset(read_data_config(folder.path() / "set" / "data.yaml"), Split::train, 2));
  }
};

TrainLoaderOptions options_of(int workers) {
  TrainLoaderOptions options;
  options.imgsz = 64;
  options.batch_size = 4;
  options.workers = workers;
  options.seed = 3;
  return options;
}

std::vector<Batch> drain(DataLoader& loader, int epoch) {
  loader.start(epoch);
  std::vector<Batch> batches;
  while (auto batch = loader.next()) batches.push_back(std::move(*batch));
  return batches;
}

bool equal(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  bool same = a.size() == b.size();
  for (std::size_t i = 0; same && i < a.size(); ++i)
    same = at::equal(a[i].images, b[i].images) && at::equal(a[i].targets, b[i].targets);
  return same;
}

}  // namespace

TEST_CASE("training batches do not depend on workers, cache or earlier passes") {
  const Fixture set;
  const auto one = make_train_loader(set.dataset, options_of(1));
  const auto expected = drain(*one, 2);
  REQUIRE(expected.size() == 6);
  CHECK(one->batches() == 6);
  CHECK(expected.back().images.size(0) == 2);
  TrainLoaderOptions options = options_of(5);
  options.cache.mode = CacheMode::none;
  const auto five = make_train_loader(set.dataset, options);
  const auto other_epoch = drain(*five, 1);
  CHECK(!equal(other_epoch, expected));
  CHECK(equal(drain(*five, 2), expected));
  CHECK(equal(drain(*one, 2), expected));
}

TEST_CASE("a training batch holds uint8 RGB planes and targets that lie inside the input") {
  const Fixture set;
  const auto loader = make_train_loader(set.dataset, options_of(2));
  std::int64_t targets = 0;
  for (const Batch& batch : drain(*loader, 0)) {
    CHECK(batch.images.scalar_type() == at::kByte);
    CHECK(batch.images.is_contiguous());
    CHECK(batch.images.sizes().slice(1) == at::IntArrayRef({3, 64, 64}));
    CHECK(batch.geometry.size() == static_cast<std::size_t>(batch.images.size(0)));
    REQUIRE(batch.targets.size(1) == 6);
    targets += batch.targets.size(0);
    if (batch.targets.size(0) == 0) continue;
    CHECK(batch.targets.select(1, 0).max().item<float>() < static_cast<float>(batch.images.size(0)));
    CHECK(batch.targets.slice(1, 2).min().item<float>() >= 0);
    CHECK(batch.targets.slice(1, 2).max().item<float>() <= 1);
  }
  CHECK(targets > 20);
}

TEST_CASE("ranks see each image once, and world size 1 sees them all") {
  const Fixture set;
  std::vector<int> seen(22);
  for (int rank = 0; rank < 2; ++rank) {
    TrainLoaderOptions options = options_of(1);
    options.rank = rank;
    options.world_size = 2;
    const auto loader = make_train_loader(set.dataset, options);
    for (const Batch& batch : drain(*loader, 0)) {
      for (const ImageGeometry& g : batch.geometry) ++seen.at(static_cast<std::size_t>(g.image));
    }
  }
  for (const int times : seen) CHECK(times == 1);
}

TEST_CASE("a pass can be abandoned, started anew, and dropped half way") {
  const Fixture set;
  const auto loader = make_train_loader(set.dataset, options_of(3));
  CHECK(!loader->next());
  const auto expected = drain(*loader, 0);
  loader->start(7);
  CHECK(loader->next().has_value());
  CHECK(equal(drain(*loader, 0), expected));
  CHECK(!loader->next());
  loader->start(1);
  CHECK(loader->next().has_value());
}

TEST_CASE("validation batches follow the plan, with the geometry that leads back to the image") {
  const Fixture set;
  auto plans = plan_validation_batches(*set.dataset, {}, 96, 5, 32, BatchShape::rect);
  const auto loader = make_validation_loader(set.dataset, {plans[3], plans[0]}, 2, true, false);
  CHECK(loader->batches() == 2);
  const auto batches = drain(*loader, 0);
  REQUIRE(batches.size() == 2);
  CHECK(equal(batches, drain(*loader, 9)));
  for (std::size_t b = 0; b < 2; ++b) {
    const BatchPlan& plan = plans[b == 0 ? 3 : 0];
    CHECK(batches[b].images.size(2) == plan.height);
    CHECK(batches[b].images.size(3) == plan.width);
    std::int64_t labels = 0;
    for (std::size_t i = 0; i < plan.images.size(); ++i) {
      const ImageGeometry& g = batches[b].geometry[i];
      const ImageEntry& entry = set.dataset->images[static_cast<std::size_t>(plan.images[i])];
      CHECK(g.image == plan.images[i]);
      CHECK(g.original_h == entry.height);
      CHECK(2 * g.pad_h + g.ratio_h * g.original_h == Approx(plan.height));
      CHECK(2 * g.pad_w + g.ratio_w * g.original_w == Approx(plan.width));
      labels += static_cast<std::int64_t>(entry.labels.size());
    }
    CHECK(batches[b].targets.size(0) == labels);
  }
}

TEST_CASE("an image that vanishes during a pass is an error that names it, and the loader goes on") {
  const Fixture set;
  const auto plans = plan_validation_batches(*set.dataset, {0, 1, 2}, 96, 1, 32, BatchShape::square);
  std::filesystem::remove(set.dataset->images[1].file);
  const auto loader = make_validation_loader(set.dataset, plans, 2, false, false);
  loader->start(0);
  CHECK(loader->next().has_value());
  CHECK_THROWS_WITH(loader->next(), Contains(set.dataset->images[1].file.filename().string()));
  CHECK(loader->next().has_value());
  CHECK(!loader->next());
}

TEST_CASE("an impossible train loader is refused") {
  const Fixture set;
  TrainLoaderOptions options = options_of(1);
  options.batch_size = 0;
  CHECK_THROWS_AS(make_train_loader(set.dataset, options), InputError);
  options = options_of(1);
  options.rank = 1;
  CHECK_THROWS_AS(make_train_loader(set.dataset, options), InputError);
}
