#include "data/synthetic_dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel_for.h"
#include "data/image_file.h"
#include "data/sampler.h"
#include "data/synthetic_scene.h"

namespace valbench {
namespace {

namespace fs = std::filesystem;

void check(const SyntheticSpec& spec) {
  constexpr int kSmallest = 32, kLargest = 8192;
  const auto refuse = [](const std::string& what) { throw InputError("synthetic data set: " + what); };
  if (spec.train_images < 1 || spec.val_images < 1) {
    refuse(
        fmt::format("train_images = {}, val_images = {}: both must be 1 or more", spec.train_images, spec.val_images));
  }
  if (spec.classes < 1 || spec.classes > kMostSyntheticClasses) {
    refuse(fmt::format("classes = {}: must be 1..{}", spec.classes, kMostSyntheticClasses));
  }
  if (std::min(spec.width, spec.height) < kSmallest || std::max(spec.width, spec.height) > kLargest) {
    refuse(fmt::format("size {}x{}: sides must be {}..{} pixels", spec.width, spec.height, kSmallest, kLargest));
  }
  if (spec.quality < 1 || spec.quality > 100) refuse(fmt::format("quality = {}: must be 1..100", spec.quality));
  if (!(spec.objects_per_image > 0 && spec.objects_per_image <= 100)) {
    refuse(fmt::format("objects_per_image = {}: must be above 0 and at most 100", spec.objects_per_image));
  }
}

// Not write_atomically: it syncs every file, and data.yaml alone says whether the set is complete.
void write_text(const fs::path& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary);
  out << text;
  out.close();
  if (!out) throw RecordError(file.string() + ": cannot be written. Check free space and permissions");
}

// Images of one split; the draws of an image depend on seed, split and number alone.
struct SplitJob {
  std::string name;
  int images;
  std::uint64_t stream;
};

void write_item(const SyntheticSpec& spec, const SplitJob& job, int i, const fs::path& folder) {
  SampleRandom random(spec.seed, job.stream, static_cast<std::uint64_t>(i));
  const SyntheticScene scene = make_scene(spec, random);
  const std::string stem = fmt::format("{}_{:06d}", job.name, i);
  write_jpeg(folder / "images" / job.name / (stem + ".jpg"), scene.image, spec.quality);
  std::string rows;
  for (const LabelRow& r : scene.labels) {
    rows += fmt::format("{} {:.6f} {:.6f} {:.6f} {:.6f}\n", static_cast<int>(r.cls), r.x, r.y, r.w, r.h);
  }
  // As in COCO, an image without objects has no label file.
  if (!rows.empty()) write_text(folder / "labels" / job.name / (stem + ".txt"), rows);
}

void write_split(const SyntheticSpec& spec, const SplitJob& job, const fs::path& folder) {
  constexpr int kMostThreads = 8;
  for (const char* kind : {"images", "labels"}) fs::create_directories(folder / kind / job.name);
  const int threads = std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMostThreads);
  parallel_for(static_cast<std::size_t>(job.images), threads,
               [&](std::size_t i) { write_item(spec, job, static_cast<int>(i), folder); });
}

// Only a folder that is new, empty or of an earlier synthetic set is written to: nobody's images get lost.
void claim_folder(const fs::path& folder) {
  const fs::path marker = folder / ".valbench-synth";
  if (fs::exists(folder) && !fs::is_empty(folder) && !fs::exists(marker)) {
    throw InputError(folder.string() + ": is not empty and not a synthetic data set. Give a new or empty folder");
  }
  fs::create_directories(folder);
  write_text(marker, "Made by valbench synth; may be overwritten by it.\n");
  fs::remove(folder / "data.yaml");  // It says "complete": an interrupted rewrite must not keep the old one.
  for (const char* kind : {"images", "labels"}) {
    for (const char* split : {"train", "val"}) fs::remove_all(folder / kind / split);
  }
}

std::string data_yaml(const SyntheticSpec& spec) {
  std::string text = fmt::format(
      "# Synthetic data set: {} + {} images of up to {}x{}, {} classes, seed {}\n"
      "path: .\ntrain: images/train\nval: images/val\nnames:\n",
      spec.train_images, spec.val_images, spec.width, spec.height, spec.classes, spec.seed);
  for (int c = 0; c < spec.classes; ++c) text += fmt::format("  {}: {}\n", c, synthetic_class_name(c));
  return text;
}

}  // namespace

void make_synthetic_dataset(const SyntheticSpec& spec, const fs::path& folder) {
  check(spec);
  try {
    claim_folder(folder);
    write_split(spec, {"train", spec.train_images, 0}, folder);
    write_split(spec, {"val", spec.val_images, 1}, folder);
  } catch (const fs::filesystem_error& error) {
    throw RecordError(folder.string() + ": the synthetic data set cannot be written: " + error.code().message());
  }
  write_atomically(folder / "data.yaml", data_yaml(spec));
}

}  // namespace valbench
