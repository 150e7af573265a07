#include "scenario/validation_keys.h"

#include <limits>

#include "scenario/enum_names.h"

namespace valbench {
namespace {

constexpr std::int64_t kAnyInt = std::numeric_limits<int>::max();
constexpr std::int64_t kAnyInt64 = std::numeric_limits<std::int64_t>::max();
constexpr double kAnyNumber = std::numeric_limits<double>::infinity();

/// A share of the images (`0.5`), or their number (`500`); 1 and 1.0 are the whole set.
void read_subset(const YamlSection& section, ValidationSpec& spec) {
  if (!section.has("subset")) return;
  const std::string allowed = "a fraction in (0, 1], or a number of images from 2 up";
  const std::string text = section.scalar("subset", allowed);
  if (text.find_first_of(".eE") == std::string::npos) section.integer("subset", spec.subset_count, 0, kAnyInt64);
  double value = 0;
  section.number("subset", value, -kAnyNumber, kAnyNumber);
  if (value <= 0) section.fail("subset", "out of range", allowed);
  if (value > 1 && text.find_first_of(".eE") != std::string::npos) section.fail("subset", "out of range", allowed);
  spec.subset_count = value > 1 ? static_cast<std::int64_t>(value) : 0;
  spec.subset_fraction = value > 1 ? 1.0 : value;
}

}  // namespace

const std::vector<std::string>& validation_keys() {
  static const std::vector<std::string> keys = {
      "placement", "shard",     "dedicated_ranks", "interval", "start_epoch", "dense_last", "time_share",
      "subset",    "subset_seed", "batch_size",    "precision", "shape",      "ema",        "loss",
      "plots",     "save_json", "score",           "score_threads", "loader", "cache",      "workers",
      "overlap"};
  return keys;
}

void read_validation(const YamlSection& section, ValidationSpec& spec) {
  section.choice("placement", spec.placement);
  section.choice("shard", spec.shard);
  section.choice("overlap", spec.overlap);
  section.integer("dedicated_ranks", spec.dedicated_ranks, 1, 4095);
  section.integer("interval", spec.interval, 1, kAnyInt);
  section.integer("start_epoch", spec.start_epoch, 0, kAnyInt);
  section.integer("dense_last", spec.dense_last, 0, kAnyInt);
  section.number("time_share", spec.time_share, 0.0, 0.99);
  read_subset(section, spec);
  section.integer("subset_seed", spec.subset_seed, 0, kAnyInt64);
  if (section.has("batch_size")) {
    const std::string allowed = "auto, max, or an integer from 1 up";
    const std::string text = section.scalar("batch_size", allowed);
    spec.batch_size = 0;
    spec.batch_max = text == "max";
    if (text != "auto" && text != "max") {
      section.integer("batch_size", spec.batch_size, 1, kAnyInt);
    }
  }
  section.choice("precision", spec.precision);
  section.choice("shape", spec.shape);
  section.choice("ema", spec.ema);
  section.boolean("loss", spec.loss);
  section.boolean("plots", spec.plots);
  section.boolean("save_json", spec.save_json);
  section.choice("score", spec.score);
  section.integer("score_threads", spec.score_threads, 0, 1024);
  section.choice("loader", spec.loader);
  section.choice("cache", spec.cache);
  section.integer("workers", spec.workers, 0, 1024);
  const bool scores_copy = spec.placement == Placement::overlapped || spec.placement == Placement::deferred;
  if (spec.ema == EmaUse::in_place && scores_copy) {
    section.fail("ema", "in_place rounds the averaged weights by scoring them, and placement " + to_string(spec.placement) + " scores a copy",
                 "copy");
  }
}

}  // namespace valbench
