/// \file
/// What the fuzz targets share: the input as a file, and the one exception that a reader may throw.
#pragma once
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include "base/error.h"

namespace valbench::fuzz {

inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// A folder of this process's own, gone with it.
inline const std::filesystem::path& input_folder() {
  struct Folder {
    std::filesystem::path path;
    Folder() {
      std::string pattern = (std::filesystem::temp_directory_path() / "valbench-fuzz-XXXXXX").string();
      if (mkdtemp(pattern.data()) == nullptr) throw std::system_error(errno, std::generic_category(), pattern);
      path = pattern;
    }
    ~Folder() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  };
  static const Folder folder;
  return folder.path;
}

/// The bytes as a file, for readers that take a path. One at a time.
class InputFile {
 public:
  explicit InputFile(std::string_view bytes) : path_(input_folder() / "input") {
    std::ofstream out(path_, std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    out.close();
    if (!out) throw std::runtime_error("cannot write " + path_.string());
  }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Runs a reader. It may succeed or refuse its input with the project's Error; anything else leaves as it came, which
/// ends a fuzzing run and fails the corpus test.
template <class Read>
void read_or_refuse(const Read& read) {
  try {
    read();
  } catch (const Error& error) {
    if (std::string_view(error.what()).empty()) throw std::logic_error("an error without a message");
  }
}

/// What a reader's result must fulfil.
inline void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(std::string("a reader's result is not sound: ") + what);
}

}  // namespace valbench::fuzz
