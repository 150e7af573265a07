#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace valbench {
namespace {

[[noreturn]] void fail(const std::filesystem::path& file, const char* what) {
  const bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
  throw RecordError("cannot " + std::string(what) + " " + file.string() + ": " + std::strerror(errno) +
                    (full ? ". Free some space, or choose a folder on another disk" : ""));
}

/// Closes on every way out.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

// A file of its own for every writer: threads share the process id, and containers that share a folder may too.
Descriptor open_temporary(const std::filesystem::path& file, std::filesystem::path& temporary) {
  static std::atomic<unsigned> counter{0};
  for (;;) {
    temporary = file.string() + ".tmp" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) return {fd};
    if (errno != EEXIST) fail(file, "write");
  }
}

// Also where there is nothing to sync to.
bool synced(int fd) { return ::fsync(fd) == 0 || errno == EINVAL || errno == EROFS; }

}  // namespace

std::string read_file(const std::filesystem::path& file) {
  const Descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (in.fd < 0) fail(file, "read");
  struct stat status {};
  if (::fstat(in.fd, &status) != 0) fail(file, "read");
  if (S_ISDIR(status.st_mode)) {
    errno = EISDIR;
    fail(file, "read");
  }
  std::string content;
  content.reserve(static_cast<std::size_t>(status.st_size));
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = ::read(in.fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(file, "read");
    if (n == 0) return content;
    content.append(buffer, static_cast<std::size_t>(n));
  }
}

void write_atomically(const std::filesystem::path& file, std::string_view content) {
  write_atomically(file, std::span(&content, 1));
}

void write_atomically(const std::filesystem::path& file, std::span<const std::string_view> parts, Sync sync) {
  std::filesystem::path temporary;
  {
    Descriptor out = open_temporary(file, temporary);
    const auto give_up = [&] {
      const int error = errno;
      ::unlink(temporary.c_str());
      errno = error;
      fail(file, "write");
    };
    for (std::string_view content : parts) {
      while (!content.empty()) {
        const ssize_t n = ::write(out.fd, content.data(), content.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) give_up();
        content.remove_prefix(static_cast<std::size_t>(n));
      }
    }
    if (sync == Sync::before_rename && !synced(out.fd)) give_up();
    const int fd = out.fd;
    out.fd = -1;
    if (::close(fd) != 0) give_up();
  }
  if (::rename(temporary.c_str(), file.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    errno = error;
    fail(file, "write");
  }
}

void sync_file(const std::filesystem::path& file) {
  const Descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (in.fd < 0 || !synced(in.fd)) fail(file, "write");
}

}  // namespace valbench
