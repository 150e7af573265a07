#include <ATen/ATen.h>

#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "data/yolo_dataset.h"
#include "detect/autoanchor.h"
#include "detect/state_layout.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"
#include "train/checkpoint.h"
#include "train/prepare_model.h"

using namespace valbench;
using Catch::Matchers::Contains;

namespace {

/// Three kinds of boxes, of sizes that do not repeat.
std::vector<BoxSize> some_labels(std::size_t count) {
  std::vector<BoxSize> labels;
  for (std::size_t i = 0; i < count; ++i) {
    const double t = static_cast<double>(i), kind = static_cast<double>(i % 3);
    labels.push_back({static_cast<float>(8 + 60 * kind + 4 * std::sin(t * 0.7)),
                      static_cast<float>(20 + 90 * kind * kind + 8 * std::cos(t * 1.3))});
  }
  return labels;
}

const std::vector<BoxSize> kP5 = {{10, 13}, {16, 30}, {33, 23}, {30, 61}, {62, 45}, {59, 119}, {116, 90}, {156, 198}, {373, 326}};

/// §1.10 in float64, side by side and label by label.
struct Reference {
  double recall = 0, per_label = 0, fitness = 0;
};
Reference reference(const std::vector<BoxSize>& labels, const std::vector<BoxSize>& anchors, double anchor_t) {
  Reference sum;
  for (const BoxSize& label : labels) {
    double best = 0;
    for (const BoxSize& anchor : anchors) {
      const double rw = static_cast<double>(label.w) / anchor.w, rh = static_cast<double>(label.h) / anchor.h;
      const double x = std::min(std::min(rw, 1 / rw), std::min(rh, 1 / rh));
      best = std::max(best, x);
      sum.per_label += x > 1 / anchor_t ? 1 : 0;
    }
    sum.recall += best > 1 / anchor_t ? 1 : 0;
    sum.fitness += best > 1 / anchor_t ? best : 0;
  }
  const auto n = static_cast<double>(labels.size());
  return {sum.recall / n, sum.per_label / n, sum.fitness / n};
}

YoloDataset data_set(const std::vector<BoxSize>& labels) {
  YoloDataset set;
  ImageEntry image;
  image.width = 200, image.height = 100;
  for (const BoxSize& box : labels) image.labels.push_back({0, 0.5F, 0.5F, box.w / 200, box.h / 100});
  set.images = {image};
  set.classes = 1, set.names = {"thing"};
  set.labels = static_cast<std::int64_t>(labels.size());
  return set;
}

RunSpec spec_of(const Hyperparameters& hyp = {}) {
  RunSpec spec;
  spec.imgsz = 200, spec.hyp = hyp;
  return spec;
}

bool equal(const std::vector<BoxSize>& a, const std::vector<BoxSize>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const BoxSize& x, const BoxSize& y) { return x.w == y.w && x.h == y.h; });
}

}  // namespace

TEST_CASE("recall, anchors per label and fitness agree with the formula in float64") {
  const auto labels = some_labels(20'000);
  for (const double anchor_t : {1.5, 2.9, 4.0}) {
    const Reference expected = reference(labels, kP5, anchor_t);
    const AnchorFit fit = measure_anchors(labels, kP5, anchor_t);
    CHECK(fit.best_recall == Approx(expected.recall).margin(1e-4));
    CHECK(fit.per_label == Approx(expected.per_label).margin(1e-3));
    CHECK(anchor_fitness(labels, kP5, anchor_t, 2) == Approx(expected.fitness).margin(1e-4));
  }
}

TEST_CASE("searched anchors are sorted by area, fit better than YOLOv5's, and are the same on any number of threads") {
  const auto labels = some_labels(20'000);
  AnchorSearch search{.count = 6, .imgsz = 200, .anchor_t = 1.3, .generations = 50, .restarts = 3, .seed = 5};
  const auto anchors = search_anchors(labels, search);
  CHECK(anchors.size() == 6);
  for (std::size_t i = 1; i < anchors.size(); ++i) CHECK(anchors[i - 1].w * anchors[i - 1].h <= anchors[i].w * anchors[i].h);
  CHECK(reference(labels, anchors, 1.3).fitness > reference(labels, kP5, 1.3).fitness);
  search.threads = 2;
  CHECK(equal(search_anchors(labels, search), anchors));
  search.seed = 6;
  CHECK_FALSE(equal(search_anchors(labels, search), anchors));
  search.generations = 0;
  const double start = anchor_fitness(labels, search_anchors(labels, search), 1.3, 1);
  search.generations = 50;
  CHECK(anchor_fitness(labels, search_anchors(labels, search), 1.3, 1) >= start);
}

TEST_CASE("k-means finds the centres of separate clusters") {
  std::vector<BoxSize> labels;
  for (int i = 0; i < 300; ++i) {
    const auto shift = static_cast<float>(i % 5 - 2);
    labels.push_back(i % 2 == 0 ? BoxSize{20 + shift, 40 - shift} : BoxSize{120 + shift, 60 - shift});
  }
  const auto anchors = search_anchors(labels, {.count = 2, .generations = 0});
  CHECK(anchors[0].w == Approx(20).margin(1e-4));
  CHECK(anchors[0].h == Approx(40).margin(1e-4));
  CHECK(anchors[1].w == Approx(120).margin(1e-4));
  CHECK(anchors[1].h == Approx(60).margin(1e-4));
}

TEST_CASE("fewer labels than anchors, or labels all alike, give random anchors within the image") {
  for (const auto& labels : {std::vector<BoxSize>{{30, 40}}, std::vector<BoxSize>(50, {30, 40}), std::vector<BoxSize>(50, {1, 1})}) {
    const auto anchors = search_anchors(labels, {.count = 9, .imgsz = 320, .generations = 0});
    CHECK(anchors.size() == 9);
    for (const BoxSize& anchor : anchors) CHECK((anchor.w > 0 && anchor.h > 0 && anchor.w < 320 && anchor.h < 320));
  }
}

TEST_CASE("anchors that fit the labels stay") {
  const YoloDataset set = data_set(std::vector<BoxSize>(10, {30, 40}));
  const auto model = build_model(spec_of(), 1);
  const at::Tensor before = model->anchors().clone();
  const AnchorCheck check = check_anchors(spec_of(), set, *model);
  CHECK_FALSE(check.refitted);
  CHECK_THAT(check.sentence, Contains("best possible recall 1.0000: the anchors stay"));
  CHECK(at::equal(model->anchors(), before));
}

TEST_CASE("anchors that do not fit are refitted, in grid units and in the order of the strides") {
  std::vector<BoxSize> thin = some_labels(600);
  for (BoxSize& box : thin) box.h = 2 + box.h / 40;
  const YoloDataset set = data_set(thin);
  const auto model = build_model(spec_of(), 1);
  const AnchorCheck check = check_anchors(spec_of(), set, *model);
  CHECK(check.refitted);
  CHECK_THAT(check.sentence, Contains("refitted, now"));
  std::vector<BoxSize> pixels;
  const at::Tensor anchors = model->anchors().detach();
  for (std::int64_t level = 0; level < 3; ++level) {
    for (std::int64_t a = 0; a < 3; ++a) {
      const float stride = static_cast<float>(model->strides()[static_cast<std::size_t>(level)]);
      pixels.push_back({anchors[level][a][0].item<float>() * stride, anchors[level][a][1].item<float>() * stride});
    }
  }
  CHECK(measure_anchors(thin, pixels, 4).best_recall > 0.98);
  CHECK(pixels[0].w * pixels[0].h < pixels[8].w * pixels[8].h);
  const auto again = build_model(spec_of(), 1);
  check_anchors(spec_of(), set, *again);
  CHECK(at::equal(again->anchors(), model->anchors()));
}

TEST_CASE("hyp anchors gives placeholders, which are fitted, or refused where nothing may fit them") {
  RunSpec spec = spec_of();
  spec.hyp.anchors = 3.412;
  const YoloDataset set = data_set(some_labels(600));
  auto model = build_model(spec, 1);
  CHECK(model->anchors().sizes().vec() == std::vector<std::int64_t>{3, 3, 2});
  CHECK(model->anchors()[0][0][0].item<float>() == 0);
  CHECK(check_anchors(spec, set, *model).refitted);
  CHECK((model->anchors() > 0).all().item<bool>());
  spec.hyp.anchors = 4;
  CHECK(build_model(spec, 1)->anchors().size(1) == 4);
  spec.autoanchor = false;
  model = build_model(spec, 1);
  CHECK_THROWS_AS(check_anchors(spec, set, *model), InputError);
  spec.hyp.anchors = 0;
  model = build_model(spec, 1);
  CHECK(check_anchors(spec, set, *model).sentence.empty());
}

TEST_CASE("the anchors of weights replace the model's, but with keep_anchors (--cfg) or hyp anchors") {
  const test::ScratchFolder folder;
  RunSpec spec = spec_of();
  const auto fitted = build_model(spec, 1);
  for (StateEntry& entry : fitted->state()) {
    if (entry.kind == StateEntry::Kind::anchors) entry.tensor.mul_(2);
  }
  spec.weights = folder.path() / "fitted.safetensors";
  write_safetensors(spec.weights, checkpoint_content(*fitted, flatten_state(fitted->state()), {}));
  const auto loaded_anchors = [](const RunSpec& wanted) {
    const auto model = build_model(wanted, 1);
    load_start_weights(wanted, *model);
    return model->anchors().clone();
  };
  CHECK(at::equal(loaded_anchors(spec), fitted->anchors()));
  spec.keep_anchors = true;
  CHECK(at::equal(loaded_anchors(spec), build_model(spec, 1)->anchors()));
  spec.keep_anchors = false;
  spec.hyp.anchors = 3;
  CHECK(at::equal(loaded_anchors(spec), build_model(spec, 1)->anchors()));
}

TEST_CASE("the anchors of YOLOv5 fit BCCD") {
  const std::filesystem::path file = std::filesystem::path(std::getenv("VALBENCH_SOURCE")) / ".." / "shared" / "data" / "bccd" / "data.yaml";
  if (!std::filesystem::exists(file)) VB_SKIP("no " + file.string());
  const YoloDataset set = load_yolo_dataset(read_data_config(file), Split::train, 2);
  RunSpec spec;
  spec.imgsz = 640;
  const auto model = build_model(spec, set.classes);
  const AnchorCheck check = check_anchors(spec, set, *model);
  std::printf("BCCD at 640 px: %s\n", check.sentence.c_str());
  CHECK_FALSE(check.refitted);
}
