// Non-maximum suppression of predictions on a GPU against the same predictions in host memory: equal bit for bit, ties included.
#include <ATen/ATen.h>

#include <bit>
#include <cmath>
#include <vector>

#include "detect/nms.h"
#include "tests/support/catch.h"
#include "tests/support/gpu.h"

using namespace valbench;

namespace {

constexpr int kImages = 3, kClasses = 3;

/// Boxes all over a 640 px input that overlap a lot, and scores spread evenly.
at::Tensor random_prediction(std::int64_t rows, std::uint64_t seed) {
  at::Generator random = at::make_generator<at::CPUGeneratorImpl>(seed);
  const at::Tensor scale = at::tensor({600.F, 600.F, 150.F, 150.F, 1.F, 1.F, 1.F, 1.F});
  return at::rand({kImages, rows, 5 + kClasses}, random) * scale;
}

/// Scores in steps of 1/8: many of every value, also where the product of two steps is reached in several ways.
at::Tensor tied_prediction(std::int64_t rows) {
  at::Tensor prediction = random_prediction(rows, 7);
  prediction.slice(2, 4).mul_(8).round_().div_(8);
  return prediction;
}

/// Every row the same box and score, so that the order alone decides which one stays.
at::Tensor equal_rows() { return at::tensor({320.F, 320.F, 50.F, 40.F, .5F, .5F, .5F, .5F}).repeat({kImages, 500, 1}); }

/// Objectness and products at, just below and just above the threshold.
at::Tensor threshold_prediction() {
  at::Tensor prediction = random_prediction(400, 11);
  const float threshold = 0.001F, half = static_cast<float>(c10::Half(threshold)), brain = static_cast<float>(c10::BFloat16(threshold));
  const std::vector<float> values = {threshold, std::nextafter(threshold, 0.F), std::nextafter(threshold, 1.F), half, brain,
                                     half * 1.001F, half * 0.999F, brain * 1.008F, brain * 0.992F};
  for (std::int64_t row = 0; row < prediction.size(1); ++row) {
    const float value = values[static_cast<std::size_t>(row) % values.size()];
    const at::Tensor one = prediction.select(1, row);
    one.select(1, 4).fill_(row % 2 == 0 ? value : 1.F);
    one.slice(1, 5).fill_(row % 2 == 0 ? 1.F : value);
  }
  return prediction;
}

/// Scores and coordinates that no comparison holds for, and boxes without an extent.
at::Tensor odd_prediction() {
  at::Tensor prediction = random_prediction(300, 13);
  prediction.select(1, 5).fill_(std::nanf(""));
  prediction.select(1, 6).select(1, 4).fill_(std::nanf(""));
  prediction.select(1, 7).select(1, 6).fill_(std::nanf(""));
  prediction.select(1, 8).slice(1, 2, 4).fill_(INFINITY);
  prediction.slice(1, 9, 40).slice(2, 2, 4).fill_(0);
  return prediction;
}

std::vector<std::uint32_t> bits_of(const std::vector<Detection>& detections) {
  std::vector<std::uint32_t> bits;
  for (const Detection& d : detections) {
    for (const float value : {d.x1, d.y1, d.x2, d.y2, d.score, d.cls}) bits.push_back(std::bit_cast<std::uint32_t>(value));
  }
  return bits;
}

std::vector<NmsOptions> option_sets() {
  return {{},
          {.iou = 0.45, .threads = 3},
          {.confidence = 0.25, .agnostic = true},
          {.multi_label = false},
          {.agnostic = true, .max_candidates = 100, .max_detections = 7},
          {.classes = {0, 2}}};
}

/// Returns how many boxes were compared.
std::size_t compare(const at::Tensor& prediction) {
  std::size_t boxes = 0;
  for (const at::ScalarType dtype : {at::kFloat, at::kHalf, at::kBFloat16}) {
    const at::Tensor host = prediction.to(dtype), device = host.to(at::kCUDA);
    std::size_t set = 0;
    for (const NmsOptions& options : option_sets()) {
      INFO(c10::toString(dtype) << ", option set " << set++);
      const NmsResult ours = non_maximum_suppression(device, options), expected = non_maximum_suppression(host, options);
      CHECK(ours.candidates == expected.candidates);
      CHECK(ours.candidate_limit_hits == expected.candidate_limit_hits);
      CHECK(ours.detection_limit_hits == expected.detection_limit_hits);
      REQUIRE(ours.images.size() == expected.images.size());
      for (std::size_t i = 0; i < ours.images.size(); ++i) {
        CHECK(bits_of(ours.images[i]) == bits_of(expected.images[i]));
        boxes += expected.images[i].size();
      }
    }
  }
  return boxes;
}

}  // namespace

TEST_CASE("a prediction on a GPU gives the CPU's detections bit for bit") {
  if (const std::string reason = test::no_gpu_here(); !reason.empty()) VB_SKIP(reason);
  CHECK(compare(random_prediction(3000, 1)) > 0);
  // What a network gives: of the memory layout of a part of a larger tensor.
  CHECK(compare(random_prediction(3000, 2).slice(1, 0, 3000, 2)) > 0);
}

TEST_CASE("tied scores leave a GPU in the CPU's order, down to rows that are all equal") {
  if (const std::string reason = test::no_gpu_here(); !reason.empty()) VB_SKIP(reason);
  CHECK(compare(tied_prediction(3000)) > 0);
  CHECK(compare(equal_rows()) > 0);
}

TEST_CASE("more than 30000 candidates are cut at the same one on a GPU and on the CPU") {
  if (const std::string reason = test::no_gpu_here(); !reason.empty()) VB_SKIP(reason);
  const at::Tensor prediction = tied_prediction(25200);
  REQUIRE(non_maximum_suppression(prediction, {}).candidate_limit_hits == kImages);
  CHECK(compare(prediction) > 0);
}

TEST_CASE("scores at the threshold, and values that are not finite, count on a GPU as on the CPU") {
  if (const std::string reason = test::no_gpu_here(); !reason.empty()) VB_SKIP(reason);
  CHECK(compare(threshold_prediction()) > 0);
  CHECK(compare(odd_prediction()) > 0);
}

TEST_CASE("a GPU's batch without candidates or without images gives none") {
  if (const std::string reason = test::no_gpu_here(); !reason.empty()) VB_SKIP(reason);
  CHECK(compare(at::zeros({kImages, 50, 5 + kClasses})) == 0);
  CHECK(compare(at::zeros({0, 50, 5 + kClasses})) == 0);
}
