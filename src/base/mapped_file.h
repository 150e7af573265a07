/// \file
/// A file as memory.
#pragma once
#include <cstddef>
#include <filesystem>
#include <span>

namespace valbench {

/// A private mapping of a whole file: nothing is read before it is used, and writing to the memory leaves the file as it is. Files that
/// are replaced by rename while they are mapped keep their old content here.
class MappedFile {
 public:
  /// Throws InputError with the system's reason.
  explicit MappedFile(const std::filesystem::path& file);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace valbench
