#include "data/sampler.h"

#include <algorithm>
#include <set>

#include "data/sample.h"
#include "tests/support/catch.h"

using namespace valbench;

TEST_CASE("ranks share one permutation, padded by wrap-around") {
  const auto whole = training_order(10, 0, 1, 5, 2);
  CHECK(std::set<std::int64_t>(whole.begin(), whole.end()).size() == 10);
  std::vector<std::vector<std::int64_t>> ranks;
  for (int r = 0; r < 4; ++r) ranks.push_back(training_order(10, r, 4, 5, 2));
  for (std::size_t i = 0; i < 12; ++i) CHECK(ranks[i % 4].at(i / 4) == whole[i % 10]);
}

TEST_CASE("more ranks than images wrap around more than once") {
  for (int r = 0; r < 5; ++r) CHECK(training_order(2, r, 5, 0, 0).size() == 1);
}

TEST_CASE("the order depends on seed plus epoch alone") {
  CHECK(training_order(50, 0, 1, 3, 4) == training_order(50, 0, 1, 3, 4));
  CHECK(training_order(50, 0, 1, 3, 4) == training_order(50, 0, 1, 7, 0));
  CHECK(training_order(50, 0, 1, 3, 4) != training_order(50, 0, 1, 3, 5));
  CHECK(seeded_permutation(6, 0) == seeded_permutation(6, 0));
}

TEST_CASE("the draws of an item depend on seed, epoch and item, and stay in their ranges") {
  SampleRandom a(1, 2, 3), b(1, 2, 3), c(1, 2, 4), d(1, 3, 3);
  const auto first = a.next();
  CHECK(first == b.next());
  CHECK(first != c.next());
  CHECK(first != d.next());
  double sum = 0;
  std::vector<int> counts(7);
  for (int i = 0; i < 7000; ++i) {
    const double u = a.uniform(-2, 3);
    REQUIRE(u >= -2);
    REQUIRE(u < 3);
    sum += u;
    ++counts.at(static_cast<std::size_t>(a.below(7)));
  }
  CHECK(sum / 7000 == Approx(0.5).margin(0.1));
  for (const int count : counts) CHECK(count == Approx(1000).margin(150));
}

TEST_CASE("hyperparameters of zero draw an item that changes nothing") {
  Hyperparameters hyp;
  hyp.mosaic = hyp.fliplr = hyp.translate = hyp.scale = hyp.hsv_h = hyp.hsv_s = hyp.hsv_v = 0;
  for (std::uint64_t i = 0; i < 50; ++i) {
    SampleRandom random(0, 0, i);
    const ItemDraw draw = draw_item(hyp, 64, 1, 4, random);
    CHECK(!draw.mosaic);
    CHECK(!draw.flip_lr);
    CHECK(!draw.flip_ud);
    CHECK(perspective_matrix(draw.perspective, 64, 64, 64, 64) == cv::Matx33d::eye());
  }
}

TEST_CASE("a mosaic holds its own image once or more and partners from the whole set") {
  Hyperparameters hyp;
  hyp.mixup = 1;
  std::set<std::int64_t> partners;
  for (std::uint64_t i = 0; i < 300; ++i) {
    SampleRandom random(0, 0, i);
    const ItemDraw draw = draw_item(hyp, 64, 5, 20, random);
    REQUIRE(draw.mosaic);
    REQUIRE(draw.mixup);
    CHECK(std::count(draw.tiles.tiles.begin(), draw.tiles.tiles.end(), 5) >= 1);
    CHECK((draw.tiles.yc >= 32 && draw.tiles.yc < 96));
    CHECK((draw.mixup_ratio > 0.15 && draw.mixup_ratio < 0.85));
    partners.insert(draw.tiles.tiles.begin(), draw.tiles.tiles.end());
  }
  CHECK(partners.size() == 20);
}
