#include "train/prepare_model.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "base/error.h"
#include "detect/anchors.h"
#include "detect/autoanchor.h"
#include "detect/yolov5.h"
#include "scenario/layer_table.h"

namespace valbench {
namespace {

constexpr double kGoodRecall = 0.98;

std::vector<BoxSize> anchors_in_pixels(const DetectionModel& model) {
  const at::Tensor anchors = model.anchors().detach().to(at::kCPU, at::kFloat).contiguous();
  std::vector<BoxSize> out;
  const float* value = anchors.const_data_ptr<float>();
  for (std::int64_t i = 0; i < anchors.numel(); i += 2) {
    const auto level = static_cast<std::size_t>(i / (anchors.numel() / anchors.size(0)));
    const auto stride = static_cast<float>(model.strides()[level]);
    out.push_back({value[i] * stride, value[i + 1] * stride});
  }
  return out;
}

/// Sizes at training resolution; `jitter` scales each image by 0.9 to 1.1, as training will.
std::vector<BoxSize> label_sizes(const YoloDataset& set, int imgsz, bool jitter, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::vector<BoxSize> sizes;
  for (const ImageEntry& image : set.images) {
    const double scale = jitter ? 0.9 + 0.2 * static_cast<double>(engine() >> 11) * 0x1p-53 : 1.0;
    const double pixels = scale * imgsz / std::max(image.width, image.height);
    for (const LabelRow& label : image.labels) {
      sizes.push_back({static_cast<float>(label.w * pixels * image.width),
                       static_cast<float>(label.h * pixels * image.height)});
    }
  }
  return sizes;
}

AnchorTable table_of(const std::vector<BoxSize>& anchors, std::size_t levels) {
  AnchorTable table(levels);
  const std::size_t per_level = anchors.size() / levels;
  for (std::size_t i = 0; i < anchors.size(); ++i) {
    table[i / per_level].push_back(static_cast<double>(anchors[i].w));
    table[i / per_level].push_back(static_cast<double>(anchors[i].h));
  }
  return table;
}

void write_anchors(DetectionModel& model, const std::vector<BoxSize>& anchors) {
  const at::NoGradGuard no_grad;
  for (StateEntry& entry : model.state()) {
    if (entry.kind == StateEntry::Kind::anchors)
      entry.tensor.copy_(anchors_in_grid_units(table_of(anchors, model.strides().size()), model.strides()));
  }
}

std::string shown(const std::vector<BoxSize>& anchors) {
  std::string all;
  for (const BoxSize& anchor : anchors) all += fmt::format("{}{:.0f},{:.0f}", all.empty() ? "" : " ", anchor.w, anchor.h);
  return all;
}

}  // namespace

std::unique_ptr<DetectionModel> build_model(const RunSpec& spec, int classes) {
  LayerTable table = model_table(spec.model, spec.compat);
  const int per_level = static_cast<int>(std::nearbyint(spec.hyp.anchors));
  if (per_level > 0) table.anchors = placeholder_anchors(static_cast<int>(table.anchors.size()), per_level);
  return make_yolov5(table, model_name(spec.model), classes, spec.seed);
}

AnchorCheck check_anchors(const RunSpec& spec, const YoloDataset& train, DetectionModel& model) {
  const std::vector<BoxSize> anchors = anchors_in_pixels(model);
  const auto no_size = [](const BoxSize& anchor) { return !(anchor.w > 0 && anchor.h > 0); };
  const bool placeholders = std::any_of(anchors.begin(), anchors.end(), no_size);
  if (!spec.autoanchor || !spec.resume.empty()) {
    if (placeholders && spec.resume.empty())
      throw InputError("autoanchor = false, but the model's anchors are only a number a level (hyp anchors, or `anchors` "
                       "of the model file). Allowed: autoanchor true, or anchors given in pixels");
    return {};
  }
  const std::vector<BoxSize> jittered = label_sizes(train, spec.imgsz, true, spec.seed);
  if (jittered.empty()) return {};
  const AnchorFit fit = measure_anchors(jittered, anchors, spec.hyp.anchor_t);
  const std::string found = fmt::format("AutoAnchor: {:.2f} anchors per label, best possible recall {:.4f}",
                                        fit.per_label, fit.best_recall);
  if (fit.best_recall > kGoodRecall) return {false, found + ": the anchors stay"};
  const AnchorSearch search{.count = static_cast<int>(anchors.size()),
                            .imgsz = static_cast<double>(spec.imgsz),
                            .anchor_t = spec.hyp.anchor_t,
                            .seed = spec.seed,
                            .threads = spec.torch_threads};
  const std::vector<BoxSize> better = search_anchors(label_sizes(train, spec.imgsz, false, 0), search);
  const AnchorFit after = measure_anchors(jittered, better, spec.hyp.anchor_t);
  if (after.best_recall <= fit.best_recall)
    return {false, found + fmt::format(": the anchors stay, a search came to {:.4f}", after.best_recall)};
  write_anchors(model, better);
  return {true, found + fmt::format(": refitted, now {:.2f} and {:.4f}: {}", after.per_label, after.best_recall, shown(better))};
}

}  // namespace valbench
