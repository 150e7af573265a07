/// \file
/// Writes zip archives of stored entries.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace valbench {

/// Collects an archive in memory. The data of every entry begins at a multiple of 64 bytes, as torch.save aligns it, so that readers can
/// use it where it lies.
class ZipWriter {
 public:
  /// Throws InputError where the archive would pass 4 GiB, which takes zip64.
  void add(std::string_view name, std::string_view content);
  /// Adds the directory; the writer is empty afterwards.
  std::string finish();

 private:
  std::string bytes_, directory_;
  std::uint16_t entries_ = 0;
};

}  // namespace valbench
