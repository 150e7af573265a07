#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace valbench {

MappedFile::MappedFile(const std::filesystem::path& file) {
  const auto fail = [&file] {
    throw InputError(file.string() + ": cannot be read: " + std::strerror(errno) + ". Check the path and its permissions.");
  };
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail();
  struct stat status {};
  void* data = nullptr;
  bool mapped = ::fstat(descriptor, &status) == 0;
  if (mapped && S_ISDIR(status.st_mode)) {
    errno = EISDIR;
    mapped = false;
  }
  if (mapped && status.st_size > 0) {  // An empty file cannot be mapped, and needs not be.
    size_ = static_cast<std::size_t>(status.st_size);
    data = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor, 0);
    mapped = data != MAP_FAILED;
  }
  const int reason = errno;
  ::close(descriptor);
  errno = reason;
  if (!mapped) fail();
  data_ = static_cast<std::byte*>(data);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace valbench
