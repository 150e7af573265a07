#include "detect/weights/zip_writer.h"

#include <fmt/format.h>
#include <zlib.h>

#include <utility>

#include "base/error.h"

namespace valbench {
namespace {

constexpr std::uint64_t kAlignment = 64, kLocalHeaderBytes = 30, kExtraHeaderBytes = 4;
constexpr std::uint64_t kLargest = 0xffff0000;
constexpr std::uint16_t kPaddingExtra = 0x4246;  // "FB", the field that torch.save pads with
constexpr std::uint16_t kVersion = 20, kDate = 0x21;  // 1980-01-01: equal content, equal bytes

template <typename T>
void append(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof value; ++i) out += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
}

/// What local headers and directory entries have in common: from "version needed" to the length of the name.
std::string common_fields(std::uint32_t crc, std::uint32_t size, std::uint16_t name) {
  std::string out;
  append(out, kVersion);
  append<std::uint16_t>(out, 0x0800);  // names are UTF-8
  append<std::uint16_t>(out, 0);       // stored
  append<std::uint16_t>(out, 0);       // time
  append(out, kDate);
  append(out, crc);
  append(out, size);
  append(out, size);
  append(out, name);
  return out;
}

}  // namespace

void ZipWriter::add(std::string_view name, std::string_view content) {
  const std::uint64_t begin = bytes_.size();
  if (begin + content.size() + directory_.size() > kLargest || entries_ == 0xffff) {
    throw InputError(fmt::format("an archive of {} with {} bytes is above what zip without zip64 holds (4 GiB, 65535 entries)", name, content.size()));
  }
  const auto crc = static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()));
  const std::string common = common_fields(crc, static_cast<std::uint32_t>(content.size()), static_cast<std::uint16_t>(name.size()));
  const std::uint64_t unpadded = begin + kLocalHeaderBytes + name.size() + kExtraHeaderBytes;
  const auto padding = static_cast<std::uint16_t>((kAlignment - unpadded % kAlignment) % kAlignment);
  append<std::uint32_t>(bytes_, 0x04034b50);
  bytes_ += common;
  append<std::uint16_t>(bytes_, static_cast<std::uint16_t>(kExtraHeaderBytes + padding));
  bytes_ += name;
  append(bytes_, kPaddingExtra);
  append(bytes_, padding);
  bytes_.append(padding, 'Z');
  bytes_ += content;

  append<std::uint32_t>(directory_, 0x02014b50);
  append(directory_, kVersion);
  directory_ += common;
  directory_.append(2 + 2 + 2 + 2 + 4, '\0');  // extra, comment, disk, attributes
  append(directory_, static_cast<std::uint32_t>(begin));
  directory_ += name;
  ++entries_;
}

std::string ZipWriter::finish() {
  const auto begin = static_cast<std::uint32_t>(bytes_.size()), size = static_cast<std::uint32_t>(directory_.size());
  bytes_ += directory_;
  append<std::uint32_t>(bytes_, 0x06054b50);
  append<std::uint32_t>(bytes_, 0);  // disks
  append(bytes_, entries_);
  append(bytes_, entries_);
  append(bytes_, size);
  append(bytes_, begin);
  append<std::uint16_t>(bytes_, 0);  // comment
  directory_.clear();
  entries_ = 0;
  return std::exchange(bytes_, {});
}

}  // namespace valbench
