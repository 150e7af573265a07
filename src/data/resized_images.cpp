#include "data/resized_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <opencv2/core.hpp>

#include "base/error.h"
#include "data/image_file.h"
#include "data/letterbox.h"

namespace valbench {
namespace {

std::int64_t read_number(const char* file, std::int64_t otherwise) {
  std::int64_t value = 0;
  return std::ifstream(file) >> value ? value : otherwise;
}

std::int64_t resized_bytes(const ImageEntry& image, int imgsz) {
  const double ratio = static_cast<double>(imgsz) / std::max(image.height, image.width);
  return 3 * static_cast<std::int64_t>(image.height * ratio) * static_cast<std::int64_t>(image.width * ratio);
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
  if (!options_.keep) return;
  kept_.resize(dataset_->images.size());
  std::int64_t needed = 0;
  if (options_.used.empty()) {
    for (const ImageEntry& image : dataset_->images) needed += resized_bytes(image, options_.imgsz);
  }
  for (const std::int64_t i : options_.used)
    needed += resized_bytes(dataset_->images.at(static_cast<std::size_t>(i)), options_.imgsz);
  if (needed <= options_.budget_bytes) return;
  constexpr double kMib = 1024.0 * 1024.0;
  warnings_.push_back(fmt::format(
      "the image cache needs {:.0f} MiB and may take {:.0f} MiB: {:.0f} % of the images are kept, the others "
      "are decoded each time. Use a smaller imgsz or fewer ranks, or set `cache: none`",
      static_cast<double>(needed) / kMib, static_cast<double>(options_.budget_bytes) / kMib,
      100.0 * static_cast<double>(options_.budget_bytes) / static_cast<double>(needed)));
}

cv::Mat ResizedImages::image(std::int64_t index) const {
  const auto i = static_cast<std::size_t>(index);
  if (options_.keep) {
    const std::lock_guard lock(mutex_);
    if (!kept_.at(i).empty()) return kept_[i];
  }
  const ImageEntry& entry = dataset_->images.at(i);
  const cv::Mat decoded = read_image(entry.file);
  if (decoded.rows != entry.height || decoded.cols != entry.width) {
    throw InputError(entry.file.string() + ": changed since the data set was scanned. Start again");
  }
  cv::Mat resized = resize_to_longest(decoded, options_.imgsz, options_.augment);
  if (options_.keep) {
    const std::lock_guard lock(mutex_);
    const auto bytes = static_cast<std::int64_t>(resized.total() * resized.elemSize());
    if (kept_[i].empty() && kept_bytes_ + bytes <= options_.budget_bytes) {
      kept_bytes_ += bytes;
      kept_[i] = resized;
    }
  }
  return resized;
}

}  // namespace valbench
