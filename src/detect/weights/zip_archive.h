/// \file
/// Reads zip archives that lie in memory: stored and deflated entries, zip64. No encryption, no archives in parts.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace valbench {

class ZipArchive {
 public:
  struct Entry {
    std::string name;
    std::uint64_t packed = 0, size = 0;  ///< Bytes in the archive and unpacked.
    std::uint64_t header = 0;            ///< Where its local header begins.
    std::uint32_t crc = 0;
    std::uint16_t method = 0;  ///< 0 stored, 8 deflated.
  };

  /// Reads the directory at the end of `bytes`, which must outlive the archive. Throws InputError naming `label` and what is wrong.
  ZipArchive(std::span<const std::byte> bytes, std::string label);

  const std::vector<Entry>& entries() const { return entries_; }
  const Entry* find(const std::string& name) const;
  bool stored(const Entry& entry) const { return entry.method == 0; }
  /// The bytes of a stored entry as they lie in the archive; its checksum is not looked at.
  std::span<const std::byte> view(const Entry& entry) const;
  /// An entry unpacked and held against its checksum. Throws InputError where it is larger than `limit` bytes.
  std::string content(const Entry& entry, std::uint64_t limit) const;
  /// Unpacks a deflated entry to `out`, which has its size.
  void inflate(const Entry& entry, std::span<std::byte> out) const;

 private:
  [[noreturn]] void fail(const std::string& what) const;
  template <typename T>
  T number(std::uint64_t offset, const char* what) const;
  void read_directory();
  Entry read_entry(std::uint64_t& at) const;
  void read_zip64_sizes(std::uint64_t at, std::uint64_t end, Entry& entry) const;
  std::span<const std::byte> packed_bytes(const Entry& entry) const;

  std::span<const std::byte> bytes_;
  std::string label_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string, std::size_t> by_name_;
};

}  // namespace valbench
