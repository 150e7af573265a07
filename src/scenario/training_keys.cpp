#include <algorithm>
#include <limits>

#include "scenario/rank_roles.h"
#include "scenario/training_keys.h"

namespace valbench {
namespace {

constexpr int kMost = std::numeric_limits<int>::max();
constexpr int kQuad = 4;  // Images that quad collates into one.

/// A whole number from 0 up, or -1 where `node` is none.
int layer_number(const YAML::Node& node) {
  int value = -1;
  return node.IsScalar() && YAML::convert<int>::decode(node, value) ? value : -1;
}

void read_freeze(const YamlSection& root, RunSpec& spec) {
  if (!root.has("freeze")) return;
  const std::string allowed = "a number N (layers 0 to N - 1), or a list of layers such as [0, 1, 9]";
  const YAML::Node node = root.node("freeze");
  std::vector<int> given;
  if (node.IsSequence()) {
    for (const YAML::Node& layer : node) given.push_back(layer_number(layer));
  } else {
    given.push_back(layer_number(node));
  }
  const bool valid = !given.empty() && std::all_of(given.begin(), given.end(), [](int n) { return n >= 0 && n < 1000; });
  if (!valid) root.fail("freeze", "is not a number of layers or a list of layers", allowed);
  spec.freeze = given;
  if (node.IsSequence()) return;
  spec.freeze.clear();
  for (int layer = 0; layer < given.front(); ++layer) spec.freeze.push_back(layer);
}

/// Options that need every result by the end of its epoch.
std::optional<OptionConflict> find_late_result_conflict(const RunSpec& spec) {
  const ValidationSpec& validation = spec.validation;
  const bool deferred = validation.placement == Placement::deferred;
  const bool beside = validation.placement == Placement::overlapped || validation.placement == Placement::dedicated || deferred;
  if (!beside && validation.score == ScoreMode::blocking) return std::nullopt;
  const std::string who = "strategy " + validation.name + " has " +
                          (beside ? "placement " + to_string(validation.placement) : "score " + to_string(validation.score));
  if (spec.patience > 0 && deferred) {
    return OptionConflict{"patience", "early stopping goes by results while the training runs, and " + who + ", whose results come after it",
                          "0, or a placement that validates during the training"};
  }
  if (spec.image_weights) {
    return OptionConflict{"image_weights", "images are drawn by the last epoch's result, and " + who + ", whose results come later",
                          beside ? "false, or placement rank0 or sharded" : "false, or score blocking"};
  }
  return std::nullopt;
}

}  // namespace

const std::vector<std::string>& training_keys() {
  static const std::vector<std::string> keys = {"optimizer",     "freeze",      "single_cls",    "sync_bn",  "multi_scale",
                                                "rect",          "quad",        "image_weights", "autoanchor",
                                                "deterministic", "patience",    "save_period",   "nosave",   "compat"};
  return keys;
}

void read_training_keys(const YamlSection& root, RunSpec& spec) {
  root.choice("optimizer", spec.optimizer);
  read_freeze(root, spec);
  root.boolean("single_cls", spec.single_cls);
  root.boolean("sync_bn", spec.sync_bn);
  root.boolean("multi_scale", spec.multi_scale);
  root.boolean("rect", spec.rect);
  root.boolean("quad", spec.quad);
  root.boolean("image_weights", spec.image_weights);
  root.boolean("autoanchor", spec.autoanchor);
  root.boolean("deterministic", spec.deterministic);
  root.integer("patience", spec.patience, 0, kMost);
  root.integer("save_period", spec.save_period, -1, kMost);
  root.boolean("nosave", spec.nosave);
  root.choice("compat", spec.compat);
}

std::optional<OptionConflict> find_option_conflict(const RunSpec& spec) {
  if (auto conflict = find_late_result_conflict(spec)) return conflict;
  if (spec.image_weights && spec.ranks > 1) {
    return OptionConflict{"image_weights", "images drawn by weight cannot be dealt to " + std::to_string(spec.ranks) + " ranks",
                          "image_weights with ranks: 1, as in YOLOv5"};
  }
  if (spec.image_weights && spec.rect) {
    return OptionConflict{"image_weights", "rect gives every image a fixed place in a batch of its own shape, so that none can be drawn",
                          "one of image_weights and rect"};
  }
  if (spec.sync_bn && spec.device == DeviceKind::cpu) {
    return OptionConflict{"sync_bn", "batch statistics over ranks need GPUs, and this runs on the CPU", "false, or a GPU per rank"};
  }
  if (training_ranks(spec) < 1) {
    const std::string dedicated = std::to_string(spec.validation.dedicated_ranks);
    return OptionConflict{"ranks", "strategy " + spec.validation.name + " has " + dedicated + " of the " + std::to_string(spec.ranks) +
                                       " ranks only validate (dedicated_ranks), so that none is left to train",
                          "more than " + dedicated + " ranks, or fewer dedicated_ranks"};
  }
  if (const int per_rank = spec.batch_size / training_ranks(spec); spec.quad && per_rank % kQuad != 0) {
    return OptionConflict{"quad", "it collates four images into one, and a rank's batch has " + std::to_string(per_rank),
                          "a batch_size of a multiple of 4 images per rank"};
  }
  if (spec.patience > 0 && spec.validation.placement == Placement::none) {
    return OptionConflict{"patience", "early stopping goes by validation, and strategy " + spec.validation.name + " has placement none",
                          "0, or a placement that validates"};
  }
  if (spec.save_period > 0 && !spec.save_checkpoints) {
    return OptionConflict{"save_period", "save_checkpoints is false, so that there is nothing to keep", "-1, or save_checkpoints: true"};
  }
  return std::nullopt;
}

}  // namespace valbench
