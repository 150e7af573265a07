#include "launch/run_guess.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "scenario/rank_roles.h"

namespace valbench {
namespace {

/// Gigaflop of one forward pass at 640 x 640 (reference yolov5.md §1.6); a model file counts as the smallest.
double forward_gflop(const std::string& model) {
  static const std::map<std::string, double> known = {
      {"yolov5n", 4.5},  {"yolov5s", 16.4},  {"yolov5m", 48.9},  {"yolov5l", 109},  {"yolov5x", 205},
      {"yolov5n6", 4.6}, {"yolov5s6", 16.8}, {"yolov5m6", 49.9}, {"yolov5l6", 111}, {"yolov5x6", 210}};
  const auto found = known.find(model);
  return found != known.end() ? found->second : known.at("yolov5n");
}

/// Gigaflop a second of one rank.
struct Speed {
  double train, val, startup_s;
};

Speed speed_of(const RunSpec& spec) {
  if (spec.device == DeviceKind::cuda) return {15'000, 15'000, 10};
  return {16.0 * spec.torch_threads, 35.0 * spec.torch_threads, 2};
}

}  // namespace

double guess_run_s(const RunSpec& spec, const ImageCounts& images) {
  const double image_gflop = forward_gflop(spec.model) * std::pow(spec.imgsz / 640.0, 2);
  const Speed speed = speed_of(spec);
  const ValidationSpec& validation = spec.validation;
  const int validations = validation.placement == Placement::none
                              ? 0
                              : (spec.epochs + validation.interval - 1) / validation.interval;
  const double share = validation.subset_count > 0
                           ? static_cast<double>(std::min(validation.subset_count, images.val))
                           : validation.subset_fraction * static_cast<double>(images.val);
  const int trained = training_ranks(spec), only_validate = spec.ranks - trained;
  const bool shared = validation.placement == Placement::sharded || validation.placement == Placement::deferred;
  const int scoring_ranks = only_validate > 0 ? only_validate : shared ? spec.ranks : 1;
  // Backward costs twice what forward does. The exactness check scores once more, on rank 0.
  const double train_s = 3 * image_gflop * static_cast<double>(images.train) / (speed.train * trained);
  const double val_s = image_gflop * share / speed.val;
  const bool checked = validations > 0 && spec.verify != VerifyMode::none;
  // Beside the training only the last validation takes time: what cannot keep up is skipped.
  const int waited_for = only_validate > 0 ? std::min(validations, 1) : validations;
  return speed.startup_s + spec.epochs * train_s + waited_for * val_s / scoring_ranks + (checked ? val_s : 0);
}

double guess_validation_s(const RunSpec& spec, const ImageCounts& images) {
  const ValidationSpec& validation = spec.validation;
  const double share = validation.subset_count > 0 ? static_cast<double>(std::min(validation.subset_count, images.val))
                                                   : validation.subset_fraction * static_cast<double>(images.val);
  return forward_gflop(spec.model) * std::pow(spec.imgsz / 640.0, 2) * share / speed_of(spec).val;
}

}  // namespace valbench
