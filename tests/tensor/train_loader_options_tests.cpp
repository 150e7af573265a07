// Loader options: rect, quad, image weights, caches, polygons.
#include <ATen/ATen.h>

#include "base/error.h"
#include "data/data_loader.h"
#include "data/quad.h"
#include "tests/support/catch.h"
#include "tests/unit/dataset_fixture.h"

using namespace valbench;
using Catch::Matchers::Contains;
using valbench::test::DatasetFixture;

namespace {

// Twelve images of different shapes; class 1 only in the last one.
struct Fixture : DatasetFixture {
  std::shared_ptr<YoloDataset> dataset;

  explicit Fixture(bool polygons = false) {
    for (int i = 0; i < 12; ++i) {
      const std::string stem(1, static_cast<char>('a' + i));
      jpeg("images/train/" + stem + ".jpg", 40 + 4 * i, 64);
      const std::string cls = i == 11 ? "1" : "0";
      label(stem, cls + (polygons && i % 2 == 0 ? " 0.2 0.2 0.8 0.2 0.5 0.8\n" : " 0.5 0.5 0.6 0.6\n"));
    }
    dataset = std::make_shared<YoloDataset>(load());
  }
};

TrainLoaderOptions options_of() {
  TrainLoaderOptions options;
  options.imgsz = 64;
  options.batch_size = 4;
  options.workers = 2;
  return options;
}

std::vector<Batch> drain(DataLoader& loader, int epoch = 0) {
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

TEST_CASE("rect training batches have minimal shapes, hold no mosaic, and are augmented") {
  const Fixture set;
  TrainLoaderOptions options = options_of();
  options.rect = true;
  const auto loader = make_train_loader(set.dataset, options);
  const auto first = drain(*loader, 0), second = drain(*loader, 1);
  REQUIRE(first.size() == 3);
  CHECK(first[0].images.sizes() == at::IntArrayRef({4, 3, 64, 64}));
  CHECK(first[2].images.sizes() == at::IntArrayRef({4, 3, 64, 64}));
  options.imgsz = 128;
  CHECK(drain(*make_train_loader(set.dataset, options), 0)[0].images.sizes() == at::IntArrayRef({4, 3, 128, 128}));
  options.imgsz = 192;
  CHECK(drain(*make_train_loader(set.dataset, options), 0)[0].images.sizes() == at::IntArrayRef({4, 3, 160, 192}));
  for (const Batch& batch : first) {
    for (const ImageGeometry& g : batch.geometry) CHECK(g.original_w == 64);
    CHECK(batch.geometry[0].image < batch.geometry[1].image);  // by aspect ratio, which is their order here
  }
  CHECK(!equal(first, second));
}

TEST_CASE("quad makes one image of twice the size from four") {
  at::Tensor images = at::zeros({8, 3, 2, 4}, at::kByte);
  for (std::int64_t i = 0; i < 8; ++i) images.select(0, i).fill_(10 * (i + 1));
  BatchLabels labels(8);
  for (std::size_t i = 0; i < 8; ++i) labels[i] = {{static_cast<float>(i), 0.5F, 0.25F, 0.2F, 0.4F}};
  const at::Tensor out = collate_four(images, labels, {false, true}, false);
  REQUIRE(out.sizes() == at::IntArrayRef({2, 3, 4, 8}));
  const auto value = [&](std::int64_t n, std::int64_t y, std::int64_t x) { return out[n][1][y][x].item<int>(); };
  CHECK(value(0, 0, 0) == 10);
  CHECK(value(0, 2, 0) == 20);  // the second lies below the first
  CHECK(value(0, 0, 4) == 30);
  CHECK(value(0, 3, 7) == 40);
  CHECK(value(1, 3, 7) == 50);  // the fifth alone, enlarged
  REQUIRE(labels.size() == 2);
  REQUIRE(labels[0].size() == 4);
  CHECK(labels[0][1].x == 0.25F);
  CHECK(labels[0][1].y == 0.625F);
  CHECK(labels[0][2].x == 0.75F);
  CHECK(labels[0][2].y == 0.125F);
  CHECK(labels[0][3].w == 0.1F);
  REQUIRE(labels[1].size() == 1);
  CHECK(labels[1][0].cls == 4);
  CHECK(labels[1][0].x == 0.5F);
}

TEST_CASE("a quad enlargement is bilinear, cut to bytes") {
  at::Tensor images = at::zeros({4, 3, 1, 2}, at::kByte);
  images[0][0][0][1] = 101;
  BatchLabels labels(4);
  const at::Tensor out = collate_four(images, labels, {true}, false);
  const std::vector<int> expected = {0, 25, 75, 101};  // 25.25 and 75.75
  for (std::int64_t x = 0; x < 4; ++x) CHECK(out[0][0][1][x].item<int>() == expected[static_cast<std::size_t>(x)]);
}

TEST_CASE("a quad loader hands out a quarter of the images at twice the size, whatever the workers") {
  const Fixture set;
  TrainLoaderOptions options = options_of();
  options.quad = true;
  options.batch_size = 8;
  const auto loader = make_train_loader(set.dataset, options);
  const auto batches = drain(*loader);
  REQUIRE(batches.size() == 2);
  CHECK(loader->batches() == 2);
  CHECK(batches[0].images.sizes() == at::IntArrayRef({2, 3, 128, 128}));
  CHECK(batches[1].images.sizes() == at::IntArrayRef({1, 3, 128, 128}));
  CHECK(batches[0].geometry.size() == 2);
  CHECK(batches[0].targets.select(1, 0).max().item<float>() <= 1);
  options.workers = 5;
  CHECK(equal(drain(*make_train_loader(set.dataset, options)), batches));
}

TEST_CASE("image weights follow the class map from the next pass on, and repeated images differ") {
  const Fixture set;
  TrainLoaderOptions options = options_of();
  options.image_weights = true;
  const auto loader = make_train_loader(set.dataset, options);
  CHECK(drain(*loader).size() == 3);
  loader->set_class_map({1, 0});  // class 0 is perfect: only the last image is left
  const auto batches = drain(*loader, 1);
  REQUIRE(batches.size() == 3);
  for (const Batch& batch : batches) {
    for (const ImageGeometry& g : batch.geometry) CHECK(g.image == 11);
    CHECK(!at::equal(batch.images[0], batch.images[1]));
  }
}

TEST_CASE("options that do not go together are refused") {
  const Fixture set;
  const auto refused = [&](auto change, const char* reason) {
    TrainLoaderOptions options = options_of();
    change(options);
    CHECK_THROWS_AS(make_train_loader(set.dataset, options), InputError);
    CHECK_THROWS_WITH(make_train_loader(set.dataset, options), Contains(reason));
  };
  refused([](auto& o) { o.image_weights = true, o.world_size = 2; }, "needs a single rank, not 2");
  refused([](auto& o) { o.image_weights = o.rect = true; }, "do not go together");
  refused([](auto& o) { o.quad = true, o.batch_size = 3; }, "a batch of 3 per rank is too small");
  refused([](auto& o) { o.quad = true, o.batch_size = 16, o.compat = Compat::head; }, "no batch of four");
}

TEST_CASE("batches from a disk cache equal those without one, and the folder of the images stays as it is") {
  const Fixture set;
  TrainLoaderOptions options = options_of();
  options.cache.mode = CacheMode::none;
  const auto expected = drain(*make_train_loader(set.dataset, options));
  options.cache = {CacheMode::disk, set.folder.path() / "cache"};
  for (int pass = 0; pass < 2; ++pass) CHECK(equal(drain(*make_train_loader(set.dataset, options)), expected));
  CHECK(std::filesystem::exists(set.folder.path() / "cache" / "pixels"));
  CHECK(std::distance(std::filesystem::directory_iterator(set.folder.path() / "images/train"), {}) == 12);
}

TEST_CASE("a set that mixes polygons and boxes is told of under v7.0, and trains under both") {
  const Fixture set(true);
  TrainLoaderOptions options = options_of();
  options.hyp.copy_paste = 0.5;
  const auto old = make_train_loader(set.dataset, options);
  REQUIRE(old->warnings().size() == 1);
  CHECK_THAT(old->warnings()[0], Contains("6 label files hold polygons and 6 hold boxes"));
  CHECK(drain(*old).size() == 3);
  options.compat = Compat::head;
  const auto head = make_train_loader(set.dataset, options);
  CHECK(head->warnings().empty());
  CHECK(!equal(drain(*head), drain(*old)));
}
