#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <type_traits>

#include "base/checksum.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parallel_for.h"
#include "data/dataset_scan.h"
#include "data/label_file.h"

namespace valbench {
namespace {

namespace fs = std::filesystem;

// Raised whenever the scan's rules or the layout below change.
constexpr std::string_view kVersion = "valbench labels 1\n";

std::uint64_t checksum_of(std::string_view text, std::uint64_t seed = 0) {
  return checksum(std::as_bytes(std::span(text.data(), text.size())), seed);
}

class Writer {
 public:
  template <class T>
    requires std::is_trivially_copyable_v<T>
  void value(const T& value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view text) {
    value(static_cast<std::uint32_t>(text.size()));
    bytes_.append(text);
  }
  template <class T>
  void list(const std::vector<T>& list) {
    value(static_cast<std::uint32_t>(list.size()));
    if (!list.empty()) bytes_.append(reinterpret_cast<const char*>(list.data()), list.size() * sizeof(T));
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Reads what Writer wrote; what does not fit makes it fail, and then everything reads as nothing.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool failed() const { return failed_; }
  bool at_end() const { return rest_.empty(); }
  template <class T>
  T value() {
    T out{};
    if (const std::string_view bytes = take(sizeof out); !failed_) std::memcpy(&out, bytes.data(), sizeof out);
    return out;
  }
  std::string_view text() { return take(value<std::uint32_t>()); }
  template <class T>
  std::vector<T> list() {
    const std::size_t count = value<std::uint32_t>();
    const std::string_view bytes = take(count * sizeof(T));
    std::vector<T> out(failed_ ? 0 : count);
    if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }

 private:
  std::string_view take(std::size_t size) {
    failed_ = failed_ || size > rest_.size();
    if (failed_) return {};
    const std::string_view out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return out;
  }

  std::string_view rest_;
  bool failed_ = false;
};

struct FileStamp {
  std::int64_t size = -1, seconds = 0, nanoseconds = 0;
};

FileStamp stamp_of(const fs::path& file) {
  struct stat status {};
  if (stat(file.c_str(), &status) != 0) return {};
  return {status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

void write_entry(Writer& out, const ImageEntry& entry) {
  out.value(static_cast<std::int32_t>(entry.height));
  out.value(static_cast<std::int32_t>(entry.width));
  out.list(entry.labels);
  out.value(static_cast<std::uint32_t>(entry.polygons.size()));
  for (const Polygon& polygon : entry.polygons) out.list(polygon);
}

// One small file a list of images; of lists that nobody scans any more, the oldest go. Other ranks write and clean up at
// the same time: a file that is gone before it is looked at is no failure, and one that a rank is writing is not counted
// (a temporary file that somebody left behind goes as soon as it is older than what stays).
void remove_oldest(const fs::path& folder) {
  constexpr std::size_t kMostFiles = 64;
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  std::vector<fs::file_time_type> finished;
  std::error_code gone;
  for (fs::directory_iterator it(folder, gone), end; !gone && it != end; it.increment(gone)) {
    std::error_code vanished;
    const fs::file_time_type time = it->last_write_time(vanished);
    if (vanished) continue;
    files.emplace_back(time, it->path());
    if (it->path().extension().empty()) finished.push_back(time);
  }
  if (finished.size() <= kMostFiles) return;
  const auto oldest_kept = finished.end() - kMostFiles;
  std::nth_element(finished.begin(), oldest_kept, finished.end());
  for (const auto& [time, file] : files) {
    if (time < *oldest_kept) fs::remove(file, gone);
  }
}

ImageEntry read_entry(Reader& in, const fs::path& file) {
  ImageEntry entry{file, 0, 0, {}, {}};
  entry.height = in.value<std::int32_t>();
  entry.width = in.value<std::int32_t>();
  entry.labels = in.list<LabelRow>();
  const auto polygons = in.value<std::uint32_t>();
  for (std::uint32_t i = 0; i < polygons && !in.failed(); ++i) entry.polygons.push_back(in.list<PolygonPoint>());
  return entry;
}

// What a scan lets through; a file may have a right checksum and still not be valbench's.
bool sound(const ImageEntry& entry) {
  const auto share = [](float value) { return value >= 0 && value <= 1; };
  const bool paired = entry.polygons.empty() || entry.polygons.size() == entry.labels.size();
  return paired && entry.height >= 1 && entry.width >= 1 &&
         std::all_of(entry.labels.begin(), entry.labels.end(), [&](const LabelRow& row) {
           return row.cls >= 0 && row.cls == std::floor(row.cls) && share(row.x) && share(row.y) && share(row.w) &&
                  share(row.h);
         });
}

}  // namespace

fs::path label_cache_file(const fs::path& folder, const std::vector<fs::path>& files) {
  std::uint64_t sum = checksum_of(kVersion);
  for (const fs::path& file : files) sum = checksum_of(file.native(), sum);
  return folder / "labels" / checksum_text(sum);
}

std::uint64_t scan_stamp(const std::vector<fs::path>& files, int threads) {
  std::vector<FileStamp> stamps(2 * files.size());
  parallel_for(files.size(), threads, [&](std::size_t i) {
    stamps[2 * i] = stamp_of(files[i]);
    stamps[2 * i + 1] = stamp_of(label_path(files[i]));
  });
  return checksum(std::as_bytes(std::span(stamps)));
}

std::string label_cache_bytes(const std::vector<ScannedImage>& scanned, std::uint64_t stamp) {
  Writer body;
  body.value(stamp);
  body.value(static_cast<std::uint64_t>(scanned.size()));
  for (const ScannedImage& image : scanned) {
    body.value(static_cast<std::uint8_t>(image.label_file));
    body.text(image.warning);
    body.value(static_cast<std::uint8_t>(image.entry.has_value()));
    if (image.entry) write_entry(body, *image.entry);
  }
  const std::string bytes = body.take();
  Writer out;
  out.value(checksum_of(bytes));
  return std::string(kVersion) + out.take() + bytes;
}

std::optional<std::vector<ScannedImage>> parse_label_cache(std::string_view bytes, std::uint64_t stamp,
                                                           const std::vector<fs::path>& files) {
  if (!bytes.starts_with(kVersion)) return std::nullopt;
  bytes.remove_prefix(kVersion.size());
  if (bytes.size() < sizeof(std::uint64_t)) return std::nullopt;
  const auto sum = Reader(bytes).value<std::uint64_t>();
  bytes.remove_prefix(sizeof sum);
  if (checksum_of(bytes) != sum) return std::nullopt;
  Reader in(bytes);
  if (in.value<std::uint64_t>() != stamp || in.value<std::uint64_t>() != files.size()) return std::nullopt;
  std::vector<ScannedImage> scanned;
  for (const fs::path& file : files) {
    ScannedImage image;
    image.label_file = in.value<std::uint8_t>() != 0;
    image.warning = in.text();
    if (in.value<std::uint8_t>() != 0) image.entry = read_entry(in, file);
    if (in.failed() || (image.entry && !sound(*image.entry))) return std::nullopt;
    scanned.push_back(std::move(image));
  }
  if (!in.at_end()) return std::nullopt;
  return scanned;
}

std::vector<ScannedImage> scan_images_cached(const std::vector<fs::path>& files, int threads, const fs::path& folder,
                                             std::vector<std::string>& warnings) {
  if (folder.empty()) return scan_images(files, threads);
  const fs::path cache = label_cache_file(folder, files);
  // Taken before the scan: a file that changes while it runs makes the cache stale.
  const std::uint64_t stamp = scan_stamp(files, threads);
  std::error_code missing;
  if (fs::is_regular_file(cache, missing)) {
    try {
      if (auto scanned = parse_label_cache(read_file(cache), stamp, files)) return std::move(*scanned);
    } catch (const RecordError&) {  // Unreadable: as if it were not there.
    }
  }
  std::vector<ScannedImage> scanned = scan_images(files, threads);
  try {
    fs::create_directories(cache.parent_path());
    write_atomically(cache, label_cache_bytes(scanned, stamp));
    remove_oldest(cache.parent_path());
  } catch (const std::exception& error) {
    warnings.push_back(fmt::format("the label cache cannot be kept, so the next run scans all images again: {}",
                                   error.what()));
  }
  return scanned;
}

}  // namespace valbench
