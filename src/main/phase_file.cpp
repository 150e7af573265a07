#include "main/phase_file.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string_view>
#include <system_error>

#include "base/subprocess.h"

namespace valbench {
namespace {

constexpr std::size_t kLine = 64, kSize = 2 * kLine;

/// Nothing where the disk has no room: a page that cannot be written would end the process.
char* map(const std::filesystem::path& file) {
  const OwnedFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (fd.value() < 0 || ::posix_fallocate(fd.value(), 0, kSize) != 0) return nullptr;
  void* memory = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd.value(), 0);
  return memory == MAP_FAILED ? nullptr : static_cast<char*>(memory);
}

}  // namespace

PhaseFile::PhaseFile(const std::filesystem::path& folder, int rank)
    : file_(folder / ("rank-" + std::to_string(rank) + ".phase")), memory_(map(file_)) {
  if (memory_ == nullptr) return;
  for (std::size_t i = 0; i < lines_.size(); ++i) lines_[i].write_to(memory_ + i * kLine, i == 1);
}

PhaseFile::~PhaseFile() {
  if (memory_ != nullptr) ::munmap(memory_, kSize);
}

std::string PhaseFile::text() const {
  const std::string beside = lines_[1].text();
  return lines_[0].text() + (beside.empty() ? "" : ", and beside it " + beside);
}

void PhaseFile::remove() const {
  std::error_code ignored;
  std::filesystem::remove(file_, ignored);
}

void PhaseFile::Line::write_to(char* place, bool beside) {
  place_ = place;
  beside_ = beside;
  std::strcpy(where_.data(), "before the first epoch");
  write();
}

std::string PhaseFile::Line::text() const {
  if (place_ == nullptr) return {};
  const std::string_view line(place_, kLine);
  return std::string(line.substr(0, line.find_last_not_of(" \n") + 1));
}

void PhaseFile::Line::span_begin(Phase phase, std::int64_t) noexcept {
  if (depth_ < kDepth) open_[depth_] = phase;
  ++depth_;
  write();
}

void PhaseFile::Line::span_end(Phase, std::int64_t) noexcept {
  if (depth_ > 0) --depth_;
  if (std::uncaught_exceptions() == 0) write();
}

void PhaseFile::Line::epoch_begin(int epoch) noexcept {
  if (epoch < 0) {
    std::strcpy(where_.data(), "after the last epoch");
  } else {
    std::snprintf(where_.data(), where_.size(), "in epoch %d", epoch);
  }
  write();
}

void PhaseFile::Line::write() noexcept {
  if (place_ == nullptr) return;
  std::array<char, kLine> line;
  line.fill(' ');
  line.back() = '\n';
  char* end = line.data();
  const auto add = [&end](std::string_view part) { end = std::copy(part.begin(), part.end(), end); };
  if (!beside_ || depth_ > 0) add(where_.data());
  if (depth_ > 0) add(", phase "), add(phase_name(open_[std::min(depth_, kDepth) - 1]));
  std::memcpy(place_, line.data(), kLine);
}

}  // namespace valbench
