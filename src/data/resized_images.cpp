#include "data/resized_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <numeric>
#include <opencv2/core.hpp>
#include <span>

#include "base/checksum.h"
#include "base/error.h"
#include "base/file.h"
#include "data/image_file.h"
#include "data/jpeg_region.h"
#include "data/letterbox.h"

namespace valbench {
namespace {

std::int64_t read_number(const char* file, std::int64_t otherwise) {
  std::int64_t value = 0;
  return std::ifstream(file) >> value ? value : otherwise;
}

std::int64_t resized_bytes(const ImageEntry& image, const ResizedImagesOptions& options) {
  const cv::Size size = size_of_longest(image.height, image.width, options.imgsz, options.compat == Compat::head);
  return std::int64_t{3} * size.width * size.height;
}

void warn_if_over(const char* what, std::int64_t needed, std::int64_t budget, std::vector<std::string>& warnings) {
  if (needed <= budget) return;
  constexpr double kMib = 1024.0 * 1024.0;
  warnings.push_back(fmt::format(
      "the {} needs {:.0f} MiB and may take {:.0f} MiB: {:.0f} % of the images are kept, the others are decoded each "
      "time. Use a smaller imgsz or fewer ranks, or set `cache: none`",
      what, static_cast<double>(needed) / kMib, static_cast<double>(budget) / kMib,
      100.0 * static_cast<double>(budget) / static_cast<double>(needed)));
}

}  // namespace

std::int64_t available_memory_bytes() {
  std::int64_t available = std::numeric_limits<std::int64_t>::max();
  std::ifstream memory("/proc/meminfo");
  for (std::string key, unit; memory >> key;) {
    std::int64_t kib = 0;
    memory >> kib;
    std::getline(memory, unit);
    if (key == "MemAvailable:") available = kib * 1024;
  }
  const std::int64_t limit = read_number("/sys/fs/cgroup/memory.max", std::numeric_limits<std::int64_t>::max());
  const std::int64_t used = read_number("/sys/fs/cgroup/memory.current", 0);
  return std::min(available, std::max<std::int64_t>(0, limit - used));
}

ResizedImages::ResizedImages(std::shared_ptr<const YoloDataset> dataset, const ResizedImagesOptions& options)
    : dataset_(std::move(dataset)), options_(options) {
  if (options_.used.empty()) {
    options_.used.resize(dataset_->images.size());
    std::iota(options_.used.begin(), options_.used.end(), std::int64_t{0});
  }
  if (!options_.disk_folder.empty()) {
    options_.keep = false;
    prepare_disk();
  }
  if (options_.keep) prepare_memory();
}

void ResizedImages::prepare_memory() {
  kept_.resize(dataset_->images.size());
  std::int64_t needed = 0;
  for (const std::int64_t i : options_.used)
    needed += resized_bytes(dataset_->images.at(static_cast<std::size_t>(i)), options_);
  warn_if_over("image cache", needed, options_.budget_bytes, warnings_);
}

void ResizedImages::prepare_disk() {
  std::vector<PixelFiles::Wanted> wanted;
  std::int64_t needed = 0;
  for (const std::int64_t i : options_.used) {
    const ImageEntry& entry = dataset_->images.at(static_cast<std::size_t>(i));
    wanted.push_back({disk_key(entry), resized_bytes(entry, options_)});
    needed += wanted.back().bytes;
  }
  const std::int64_t budget =
      options_.budget_bytes > 0 ? options_.budget_bytes : disk_budget_bytes(options_.disk_folder);
  disk_ = std::make_unique<PixelFiles>(options_.disk_folder, budget, wanted);
  warn_if_over("disk cache", needed, budget, warnings_);
}

// Another size, another kind of resizing or a changed image has another name.
std::string ResizedImages::disk_key(const ImageEntry& entry) const {
  std::error_code ignored;
  const auto time = std::filesystem::last_write_time(entry.file, ignored).time_since_epoch().count();
  const auto size = std::filesystem::file_size(entry.file, ignored);
  const std::string key = fmt::format("{}|{}|{}|{}|{}|{}", entry.file.string(), size, time, options_.imgsz,
                                      options_.augment, to_string(options_.compat));
  return checksum_text(checksum(std::as_bytes(std::span(key))));
}

cv::Mat ResizedImages::decoded(std::int64_t index) const {
  const ImageEntry& entry = dataset_->images.at(static_cast<std::size_t>(index));
  const cv::Mat image = read_image(entry.file);
  if (image.rows != entry.height || image.cols != entry.width) {
    throw InputError(entry.file.string() + ": changed since the data set was scanned. Start again");
  }
  return resize_to_longest(image, options_.imgsz, options_.augment, options_.compat == Compat::head);
}

cv::Size ResizedImages::size(std::int64_t index) const {
  const ImageEntry& entry = dataset_->images.at(static_cast<std::size_t>(index));
  return size_of_longest(entry.height, entry.width, options_.imgsz, options_.compat == Compat::head);
}

cv::Mat ResizedImages::part(std::int64_t index, const cv::Rect& region) const {
  const ImageEntry& entry = dataset_->images.at(static_cast<std::size_t>(index));
  const cv::Size size(entry.width, entry.height);
  if (!options_.keep && !disk_ && std::max(size.width, size.height) == options_.imgsz && region.size() != size) {
    if (const cv::Mat part = read_jpeg_region(read_file(entry.file), size, region); !part.empty()) return part;
  }
  return image(index)(region);
}

cv::Mat ResizedImages::image(std::int64_t index) const {
  const auto i = static_cast<std::size_t>(index);
  if (disk_) {
    const std::string key = disk_key(dataset_->images.at(i));
    if (cv::Mat stored = disk_->read(key); !stored.empty()) return stored;
    const cv::Mat made = decoded(index);
    disk_->write(key, made);
    return made;
  }
  if (!options_.keep) return decoded(index);
  {
    const std::lock_guard lock(mutex_);
    if (!kept_.at(i).empty()) return kept_[i];
  }
  const cv::Mat resized = decoded(index);
  const std::lock_guard lock(mutex_);
  const auto bytes = static_cast<std::int64_t>(resized.total() * resized.elemSize());
  if (kept_[i].empty() && kept_bytes_ + bytes <= options_.budget_bytes) {
    kept_bytes_ += bytes;
    kept_[i] = resized;
  }
  return resized;
}

}  // namespace valbench
