// The label cache: the input is the file, or what follows its checksum, which a fuzzer does not find.
#include <span>

#include "base/checksum.h"
#include "data/dataset_scan.h"
#include "tests/fuzz/fuzz_input.h"

using namespace valbench;

namespace {

constexpr std::uint64_t kStamp = 7;
const std::vector<std::filesystem::path> kImages = {"images/a.jpg", "images/b.jpg"};

/// The stamp and the number of images stand first in what the checksum covers.
std::string cache_around(std::string_view scans) {
  std::string file = label_cache_bytes({}, kStamp);
  const std::size_t version = file.find('\n') + 1, sum_bytes = sizeof(std::uint64_t);
  std::string body = file.substr(version + sum_bytes, sizeof kStamp);
  const std::uint64_t images = kImages.size();
  body.append(reinterpret_cast<const char*>(&images), sizeof images).append(scans);
  const std::uint64_t sum = checksum(std::as_bytes(std::span(body.data(), body.size())), 0);
  file.resize(version);
  return file.append(reinterpret_cast<const char*>(&sum), sizeof sum) + body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::as_text(data, size);
  const std::string file = input.starts_with("valbench labels") ? std::string(input) : cache_around(input);
  fuzz::read_or_refuse([&] {
    const auto scanned = parse_label_cache(file, kStamp, kImages);
    if (!scanned) return;
    fuzz::require(scanned->size() == kImages.size(), "a scan for every image");
    for (const ScannedImage& image : *scanned) {
      if (!image.entry) continue;
      const ImageEntry& entry = *image.entry;
      fuzz::require(entry.height >= 1 && entry.width >= 1, "sides from 1 up");
      fuzz::require(entry.polygons.empty() || entry.polygons.size() == entry.labels.size(),
                    "a polygon for every label, or none");
      for (const LabelRow& row : entry.labels) {
        for (const float value : {row.x, row.y, row.w, row.h})
          fuzz::require(value >= 0 && value <= 1, "a coordinate from 0 to 1");
      }
    }
  });
  return 0;
}
