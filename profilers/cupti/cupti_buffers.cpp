#include "profilers/cupti/cupti_buffers.h"

#include <cstdlib>
#include <cstring>

namespace valbench {
namespace {
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kMostBuffers = 4096;

std::uint8_t* allocate() noexcept {
  return static_cast<std::uint8_t*>(std::aligned_alloc(kAlignment, CuptiBuffers::kBufferBytes));
}
}  // namespace

CuptiBuffers& CuptiBuffers::instance() {
  static CuptiBuffers* const buffers = new CuptiBuffers;
  return *buffers;
}

void CuptiBuffers::reserve(std::size_t count) {
  const std::lock_guard lock(mutex_);
  // Room for all, so that the callbacks never allocate for the lists themselves.
  free_.reserve(kMostBuffers);
  filled_.reserve(kMostBuffers);
  while (free_.size() < count) {
    std::uint8_t* data = allocate();
    if (data == nullptr) return;
    std::memset(data, 0, kBufferBytes);
    free_.push_back(data);
  }
}

std::uint8_t* CuptiBuffers::acquire() noexcept {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) {
    ++late_allocations_;
    return allocate();
  }
  std::uint8_t* data = free_.back();
  free_.pop_back();
  return data;
}

void CuptiBuffers::complete(std::uint8_t* data, std::size_t valid_bytes) noexcept {
  if (data == nullptr) return;
  {
    const std::lock_guard lock(mutex_);
    // A buffer that comes after the window has nobody to read it.
    (open_ && valid_bytes > 0) ? filled_.push_back({data, valid_bytes}) : free_.push_back(data);
  }
  changed_.notify_all();
}

CuptiBuffers::Filled CuptiBuffers::take() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !filled_.empty() || !open_; });
  if (filled_.empty()) return {};
  const Filled first = filled_.front();
  filled_.erase(filled_.begin());
  ++in_parser_;
  return first;
}

void CuptiBuffers::give_back(std::uint8_t* data) noexcept {
  {
    const std::lock_guard lock(mutex_);
    free_.push_back(data);
    --in_parser_;
  }
  changed_.notify_all();
}

void CuptiBuffers::wait_drained() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return filled_.empty() && in_parser_ == 0; });
}

void CuptiBuffers::open() {
  const std::lock_guard lock(mutex_);
  open_ = true;
  late_allocations_ = 0;
}

void CuptiBuffers::close() {
  {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  changed_.notify_all();
}

std::int64_t CuptiBuffers::late_allocations() {
  const std::lock_guard lock(mutex_);
  return late_allocations_;
}

}  // namespace valbench
