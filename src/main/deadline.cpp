#include "main/deadline.h"

#include <chrono>
#include <utility>

namespace valbench {

Deadline::Deadline(double seconds, std::function<void()> expired)
    : thread_([this, seconds, expired = std::move(expired)] {
        std::unique_lock lock(mutex_);
        if (changed_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return done_; })) return;
        lock.unlock();
        expired();
      }) {}

Deadline::~Deadline() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

}  // namespace valbench
