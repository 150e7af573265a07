#include "data/pixel_files.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <set>
#include <span>

#include "base/checksum.h"
#include "base/error.h"

namespace valbench {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporary = ".tmp";

struct Header {
  char magic[8] = {'v', 'b', 'p', 'i', 'x', 'e', 'l', '1'};
  std::int32_t rows = 0, cols = 0;
  std::uint64_t checksum = 0;
};

std::uint64_t pixel_checksum(const cv::Mat& image) {
  return checksum(std::as_bytes(std::span(image.data, image.total() * image.elemSize())));
}

struct StoredFile {
  fs::file_time_type time;
  std::int64_t bytes;
  fs::path file;
};

// Files may go while they are listed: another process cleans up too.
std::vector<StoredFile> stored_files(const fs::path& folder) {
  std::vector<StoredFile> files;
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator(folder, gone)) {
    const auto bytes = entry.file_size(gone);
    if (gone) continue;
    const auto time = entry.last_write_time(gone);
    if (!gone) files.push_back({time, static_cast<std::int64_t>(bytes), entry.path()});
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.time < b.time; });
  return files;
}

}  // namespace

PixelFiles::PixelFiles(fs::path folder, std::int64_t budget_bytes, const std::vector<Wanted>& wanted)
    : folder_(std::move(folder)), budget_bytes_(budget_bytes) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) throw RecordError(folder_.string() + ": cannot be made: " + error.message() + ". Set cache: ram or none");
  const std::vector<StoredFile> files = stored_files(folder_);
  std::set<std::string> present;
  std::int64_t total = 0, missing = 0;
  for (const StoredFile& f : files) {
    total += f.bytes;
    present.insert(f.file.filename());
  }
  std::set<std::string> needed;
  for (const Wanted& w : wanted) {
    if (!needed.insert(w.key).second || present.contains(w.key)) continue;
    missing += w.bytes + static_cast<std::int64_t>(sizeof(Header));
  }
  for (const StoredFile& f : files) {
    if (total + missing <= budget_bytes_) break;
    if (needed.contains(f.file.filename())) continue;
    if (fs::remove(f.file, error)) total -= f.bytes;
  }
  bytes_ = total;
}

cv::Mat PixelFiles::read(const std::string& key) const {
  std::ifstream in(file_of(key), std::ios::binary | std::ios::ate);
  if (!in) return {};
  const std::int64_t size = in.tellg();
  Header header;
  in.seekg(0);
  if (!in.read(reinterpret_cast<char*>(&header), sizeof header)) return {};
  if (std::memcmp(header.magic, Header().magic, sizeof header.magic) != 0 || header.rows < 1 || header.cols < 1)
    return {};
  const std::int64_t pixels = std::int64_t{3} * header.rows * header.cols;
  if (size != pixels + static_cast<std::int64_t>(sizeof header)) return {};
  cv::Mat image(header.rows, header.cols, CV_8UC3);
  if (!in.read(reinterpret_cast<char*>(image.data), pixels) || pixel_checksum(image) != header.checksum) return {};
  return image;
}

void PixelFiles::write(const std::string& key, const cv::Mat& image) const {
  constexpr std::uintmax_t kStaysFree = std::uintmax_t{1} << 30;
  const cv::Mat whole = image.isContinuous() ? image : image.clone();
  const std::size_t pixels = whole.total() * whole.elemSize();
  const auto bytes = static_cast<std::int64_t>(pixels + sizeof(Header));
  std::error_code error;
  const fs::space_info space = fs::space(folder_, error);
  if (error || space.available < kStaysFree + static_cast<std::uintmax_t>(bytes)) return;
  if (bytes_.fetch_add(bytes) + bytes > budget_bytes_) {
    bytes_ -= bytes;
    return;
  }
  Header header;
  header.rows = whole.rows;
  header.cols = whole.cols;
  header.checksum = pixel_checksum(whole);
  const fs::path temporary =
      folder_ / (key + "." + std::to_string(getpid()) + "-" + std::to_string(temporary_++) + std::string(kTemporary));
  std::ofstream out(temporary, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&header), sizeof header);
  out.write(reinterpret_cast<const char*>(whole.data), static_cast<std::streamsize>(pixels));
  out.close();
  if (out) fs::rename(temporary, file_of(key), error);
  if (!out || error) {  // A cache that cannot be written is no failure: the image is decoded again.
    fs::remove(temporary, error);
    bytes_ -= bytes;
  }
}

std::int64_t disk_budget_bytes(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  const fs::space_info space = fs::space(folder, error);
  std::int64_t free = error ? 0 : static_cast<std::int64_t>(space.available);
  for (const StoredFile& f : stored_files(folder)) free += f.bytes;
  return free / 2;
}

}  // namespace valbench
