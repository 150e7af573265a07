#include "detect/weights/zip_archive.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/error.h"

namespace valbench {
namespace {

// Signatures and sizes of APPNOTE.TXT, sections 4.3.7 to 4.3.16.
constexpr std::uint32_t kLocalHeader = 0x04034b50, kDirectoryEntry = 0x02014b50, kDirectoryEnd = 0x06054b50;
constexpr std::uint32_t kZip64End = 0x06064b50, kZip64Locator = 0x07064b50;
constexpr std::uint64_t kLocalHeaderBytes = 30, kEntryBytes = 46, kEndBytes = 22, kLocatorBytes = 20;
constexpr std::uint64_t kLongestComment = 0xffff;
constexpr std::uint16_t kEncrypted = 1, kStored = 0, kDeflated = 8, kZip64Extra = 1;
constexpr std::uint32_t kIn64 = 0xffffffff;  // the value stands in the zip64 record

}  // namespace

ZipArchive::ZipArchive(std::span<const std::byte> bytes, std::string label) : bytes_(bytes), label_(std::move(label)) {
  read_directory();
}

void ZipArchive::fail(const std::string& what) const {
  throw InputError(fmt::format("{}: not a usable zip archive: {}. Copy or export it again.", label_, what));
}

template <typename T>
T ZipArchive::number(std::uint64_t offset, const char* what) const {
  if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T)) fail(fmt::format("truncated in {}", what));
  T value;
  std::memcpy(&value, bytes_.data() + offset, sizeof value);
  return value;
}

void ZipArchive::read_directory() {
  if (bytes_.size() < kEndBytes || number<std::uint32_t>(0, "its first header") != kLocalHeader) {
    fail("it does not begin as one");
  }
  std::uint64_t end = bytes_.size() - kEndBytes;
  const std::uint64_t first = end > kLongestComment ? end - kLongestComment : 0;
  while (number<std::uint32_t>(end, "the end record") != kDirectoryEnd) {
    if (end == first) fail(fmt::format("truncated: no directory at the end of its {} bytes", bytes_.size()));
    --end;
  }
  std::uint64_t count = number<std::uint16_t>(end + 10, "the end record");
  std::uint64_t size = number<std::uint32_t>(end + 12, "the end record");
  std::uint64_t at = number<std::uint32_t>(end + 16, "the end record");
  if (end >= kLocatorBytes && number<std::uint32_t>(end - kLocatorBytes, "the locator") == kZip64Locator) {
    const auto record = number<std::uint64_t>(end - kLocatorBytes + 8, "the locator");
    if (number<std::uint32_t>(record, "the zip64 record") != kZip64End) fail("its zip64 record is missing");
    count = number<std::uint64_t>(record + 32, "the zip64 record");
    size = number<std::uint64_t>(record + 40, "the zip64 record");
    at = number<std::uint64_t>(record + 48, "the zip64 record");
  }
  if (at > end || size > end - at) fail("its directory lies outside the file");
  if (count > size / kEntryBytes) fail(fmt::format("its directory of {} bytes cannot hold {} entries", size, count));
  entries_.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    entries_.push_back(read_entry(at));
    if (!by_name_.emplace(entries_.back().name, i).second) fail("two entries are named " + entries_.back().name);
  }
}

ZipArchive::Entry ZipArchive::read_entry(std::uint64_t& at) const {
  const char* const where = "its directory";
  if (number<std::uint32_t>(at, where) != kDirectoryEntry) fail("its directory is damaged");
  Entry entry;
  entry.method = number<std::uint16_t>(at + 10, where);
  entry.crc = number<std::uint32_t>(at + 16, where);
  entry.packed = number<std::uint32_t>(at + 20, where);
  entry.size = number<std::uint32_t>(at + 24, where);
  entry.header = number<std::uint32_t>(at + 42, where);
  const std::uint64_t name = number<std::uint16_t>(at + 28, where), extra = number<std::uint16_t>(at + 30, where);
  const std::uint64_t comment = number<std::uint16_t>(at + 32, where), begin = at + kEntryBytes;
  if (name + extra + comment > bytes_.size() - begin) fail("truncated in its directory");
  entry.name.assign(reinterpret_cast<const char*>(bytes_.data()) + begin, name);
  if (number<std::uint16_t>(at + 8, where) & kEncrypted) fail("entry " + entry.name + " is encrypted");
  if (entry.method != kStored && entry.method != kDeflated) {
    fail(fmt::format("entry {} uses compression method {} (known: 0 stored, 8 deflated)", entry.name, entry.method));
  }
  read_zip64_sizes(begin + name, begin + name + extra, entry);
  if (entry.method == kStored && entry.packed != entry.size) fail("entry " + entry.name + " has two sizes");
  at = begin + name + extra + comment;
  return entry;
}

void ZipArchive::read_zip64_sizes(std::uint64_t at, std::uint64_t end, Entry& entry) const {
  const char* const where = "a zip64 field";
  while (at + 4 <= end) {
    const auto id = number<std::uint16_t>(at, where);
    const std::uint64_t next = at + 4 + number<std::uint16_t>(at + 2, where);
    at += 4;
    if (id == kZip64Extra) {
      for (std::uint64_t* field : {&entry.size, &entry.packed, &entry.header}) {
        if (*field != kIn64) continue;
        if (at + 8 > next || at + 8 > end) fail("the zip64 field of " + entry.name + " is too short");
        *field = number<std::uint64_t>(at, where);
        at += 8;
      }
    }
    at = next;
  }
}

const ZipArchive::Entry* ZipArchive::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &entries_[found->second];
}

std::span<const std::byte> ZipArchive::packed_bytes(const Entry& entry) const {
  const std::string where = "entry " + entry.name;
  if (number<std::uint32_t>(entry.header, where.c_str()) != kLocalHeader) fail("no header where the directory has " + entry.name);
  const std::uint64_t name = number<std::uint16_t>(entry.header + 26, where.c_str());
  const std::uint64_t extra = number<std::uint16_t>(entry.header + 28, where.c_str());
  const std::uint64_t begin = entry.header + kLocalHeaderBytes + name + extra;
  if (begin > bytes_.size() || entry.packed > bytes_.size() - begin) {
    fail(fmt::format("truncated: entry {} takes {} bytes from {}, the file has {}", entry.name, entry.packed, begin, bytes_.size()));
  }
  return bytes_.subspan(begin, entry.packed);
}

std::span<const std::byte> ZipArchive::view(const Entry& entry) const {
  if (!stored(entry)) fail("entry " + entry.name + " is compressed");
  return packed_bytes(entry);
}

void ZipArchive::inflate(const Entry& entry, std::span<std::byte> out) const {
  const std::span<const std::byte> packed = packed_bytes(entry);
  if (packed.size() > std::numeric_limits<uInt>::max() || out.size() > std::numeric_limits<uInt>::max()) {
    fail("entry " + entry.name + " is compressed and above 4 GiB");
  }
  z_stream stream{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) fail("zlib does not start");
  const int result = ::inflate(&stream, Z_FINISH);
  const bool whole = result == Z_STREAM_END && stream.avail_out == 0;
  inflateEnd(&stream);
  if (!whole) fail("the compressed entry " + entry.name + " is damaged");
}

std::string ZipArchive::content(const Entry& entry, std::uint64_t limit) const {
  if (entry.size > limit) fail(fmt::format("entry {} has {} bytes, at most {} are read", entry.name, entry.size, limit));
  std::string out;
  if (stored(entry)) {
    const std::span<const std::byte> bytes = packed_bytes(entry);
    out.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  } else {
    // Deflate packs at most 1032 to 1, so a claim beyond that is not believed before memory is taken for it.
    if (entry.size / 1040 > entry.packed) fail("the compressed entry " + entry.name + " is damaged");
    out.resize(entry.size);
    inflate(entry, std::as_writable_bytes(std::span(out)));
  }
  const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(out.data()), out.size());
  if (crc != entry.crc) fail(fmt::format("the checksum of entry {} is {:08x}, its directory says {:08x}", entry.name, crc, entry.crc));
  return out;
}

}  // namespace valbench
