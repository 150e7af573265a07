// Non-maximum suppression against nms*.json: formula-made predictions (golden functions.md §3).
#include <ATen/ATen.h>

#include "detect/nms.h"
#include "detect/nms_candidates.h"
#include "tests/support/golden_json.h"

using namespace valbench;
using namespace valbench::test;
using nlohmann::json;

namespace {

at::Tensor formula_prediction(const json& golden) {
  const json& f = golden["formula"];
  at::Tensor prediction = at::empty(golden["shape"].get<std::vector<std::int64_t>>(), at::kFloat);
  float* out = prediction.data_ptr<float>();
  for (std::int64_t image = 0; image < prediction.size(0); ++image) {
    for (std::int64_t row = 0; row < prediction.size(1); ++row) {
      const auto b = static_cast<double>(image), r = static_cast<double>(row);
      const auto sine = [&](const char* name) {
        return std::sin(f[name][0].get<double>() * r + f[name][1].get<double>() * b);
      };
      const double s = sine("o");
      for (const double value : {320 + 140 * sine("x"), 320 + 140 * sine("y"), 80 + 30 * sine("w"), 80 + 30 * sine("h"),
                                 s > 0.58 ? 0.97 * std::pow((s - 0.58) / 0.42, 2) : 0.0004 * (1 + s)}) {
        *out++ = static_cast<float>(value);
      }
      const json& c = f["c"];
      for (std::int64_t cls = 0; cls < prediction.size(2) - 5; ++cls) {
        const double phase =
            c[0].get<double>() * r + c[1].get<double>() * static_cast<double>(cls) + c[2].get<double>() * b;
        *out++ = static_cast<float>(std::pow(0.5 + 0.49 * std::sin(phase), 2));
      }
    }
  }
  return prediction;
}

at::Tensor with_tied_scores(const at::Tensor& prediction) {
  at::Tensor tied = prediction.clone();
  tied.select(2, 4).mul_(16).round_().div_(16);
  tied.slice(2, 5).mul_(8).round_().div_(8);
  return tied;
}

NmsOptions options_of(const json& golden) {
  NmsOptions options{.confidence = golden["conf_thres"],
                     .iou = golden["iou_thres"],
                     .multi_label = golden["multi_label"],
                     .agnostic = golden["agnostic"],
                     .max_candidates = golden["max_nms"],
                     .max_detections = golden["max_det"]};
  if (!golden["classes"].is_null()) options.classes = golden["classes"].get<std::vector<int>>();
  return options;
}

std::array<double, 6> columns_of(const Detection& d) { return {d.x1, d.y1, d.x2, d.y2, d.score, d.cls}; }

void compare_row(const Detection& detection, const json& golden, Deviations& deviations) {
  const auto columns = columns_of(detection);
  for (std::size_t c = 0; c < 4; ++c) deviations.add("coordinates", columns[c], golden[c], 1e-3, 0);
  deviations.add("scores", columns[4], golden[4], 1e-6, 0);
  CHECK(columns[5] == golden[5].get<double>());
}

void compare_image(const std::vector<Detection>& detections, const json& golden, Deviations& deviations) {
  REQUIRE(detections.size() == golden["count"].get<std::size_t>());
  std::array<double, 6> sums{};
  for (const Detection& detection : detections) {
    for (std::size_t c = 0; c < 6; ++c) sums[c] += columns_of(detection)[c];
  }
  for (std::size_t c = 0; c < 6; ++c) deviations.add("column sums", sums[c], golden["column_sums"][c], 0, 1e-5);
  const json first = golden.value("first_rows", json::array()), last = golden.value("last_rows", json::array());
  for (std::size_t i = 0; i < first.size(); ++i) compare_row(detections[i], first[i], deviations);
  for (std::size_t i = 0; i < last.size(); ++i)
    compare_row(detections[detections.size() - last.size() + i], last[i], deviations);
}

void compare_case(const json& golden, const at::Tensor& prediction) {
  Deviations deviations;
  for (const int threads : {1, 3}) {
    NmsOptions options = options_of(golden);
    options.threads = threads;
    const NmsResult result = non_maximum_suppression(prediction, options);
    REQUIRE(result.images.size() == golden["images"].size());
    for (std::size_t i = 0; i < result.images.size(); ++i) {
      CHECK(result.candidates[i] == golden["images"][i]["candidates_into_nms"].get<std::int64_t>());
      compare_image(result.images[i], golden["images"][i], deviations);
    }
  }
  deviations.print_and_check(golden["name"]);
}

// The form for GPUs, run on a CPU, must pick the same candidates as the scan of host memory.
void compare_candidates(const json& golden, const at::Tensor& prediction) {
  const NmsOptions options = options_of(golden);
  const auto gathered = gather_candidates(prediction, options);
  for (std::int64_t i = 0; i < prediction.size(0); ++i) {
    const auto scanned = scan_candidates(prediction[i].const_data_ptr<float>(), prediction.size(1),
                                         static_cast<int>(prediction.size(2)) - 5, options);
    REQUIRE(gathered[static_cast<std::size_t>(i)].size() == scanned.size());
    for (std::size_t k = 0; k < scanned.size(); ++k) {
      REQUIRE(columns_of(gathered[static_cast<std::size_t>(i)][k]) == columns_of(scanned[k]));
    }
  }
}

}  // namespace

TEST_CASE("non-maximum suppression keeps the boxes that YOLOv5 keeps") {
  const auto files = golden_files("nms");
  if (files.empty()) VB_SKIP("no nms*.json in " + golden_folder().string() + "; set VALBENCH_GOLDEN");
  for (const auto& file : files) {
    const json golden = read_json(file);
    const at::Tensor prediction = formula_prediction(golden), tied = with_tied_scores(prediction);
    Deviations inputs;
    inputs.add("input sum", prediction.to(at::kDouble).sum().item<double>(), golden["prediction_check"]["sum"], 0,
               1e-8);
    inputs.add("input sum", tied.to(at::kDouble).sum().item<double>(), golden["tied_prediction_check"]["sum"], 0, 1e-8);
    inputs.print_and_check(file.filename().string());
    for (const json& one : golden["cases"]) {
      INFO(file << ": " << one["name"]);
      const at::Tensor& input = one["tied_scores"].get<bool>() ? tied : prediction;
      compare_case(one, input);
      compare_candidates(one, input);
    }
  }
}
