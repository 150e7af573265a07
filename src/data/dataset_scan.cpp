#include "data/dataset_scan.h"

#include <algorithm>

#include "base/error.h"
#include "base/parallel_for.h"
#include "data/image_file.h"
#include "data/label_file.h"

namespace valbench {
namespace {

namespace fs = std::filesystem;

ScannedImage scan_image(const fs::path& file) {
  constexpr int kSmallestSide = 10;
  ScannedImage out;
  if (!decodable_extension(file)) {
    out.warning = file.string() + ": left out: camera raw and float maps are not read. Convert the image to PNG or JPEG";
    return out;
  }
  try {
    const ImageHeader header = read_image_header(file);
    LabelFile labels = read_label_file(label_path(file));
    out.label_file = labels.found;
    if (std::min(header.height, header.width) < kSmallestSide) {
      out.warning = file.string() + ": left out: " + std::to_string(header.width) + "x" +
                    std::to_string(header.height) + " is under 10 pixels on a side";
      return out;
    }
    if (!labels.error.empty()) {
      out.warning = labels.error + ": the image " + file.filename().string() + " is left out";
      return out;
    }
    if (header.truncated) out.warning = file.string() + ": truncated JPEG, decoded as far as it goes";
    if (labels.duplicates > 0) {
      out.warning += (out.warning.empty() ? "" : "; ") + label_path(file).string() + ": " +
                     std::to_string(labels.duplicates) + " duplicate rows removed";
    }
    out.entry = ImageEntry{file, header.height, header.width, std::move(labels.rows), std::move(labels.polygons)};
  } catch (const Error& error) {
    out.entry.reset();
    out.warning = std::string(error.what()) + " (left out)";
  }
  return out;
}

}  // namespace

std::vector<ScannedImage> scan_images(const std::vector<fs::path>& files, int threads) {
  std::vector<ScannedImage> scanned(files.size());
  parallel_for(files.size(), threads, [&](std::size_t i) { scanned[i] = scan_image(files[i]); });
  return scanned;
}

}  // namespace valbench
