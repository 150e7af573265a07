/// \file
/// A limit for work that has none of its own.
#pragma once
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace valbench {

/// Calls `expired` on a thread of its own where it still lives after `seconds`; `expired` is expected to end the process.
class Deadline {
 public:
  Deadline(double seconds, std::function<void()> expired);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace valbench
