/// \file
/// A thread of its own that validates beside training.
#pragma once
#include <c10/core/Device.h>

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>

namespace valbench {

/// Does one job after the other, one at a time; all calls come from one thread, the one that trains. On a GPU the jobs run on a stream of
/// their own. The thread computes with as many intra-op threads as every other that computes: another number changes the bits.
class BackgroundThread {
 public:
  explicit BackgroundThread(c10::Device device);
  /// Asks a running job to end through `stop` and waits for it.
  ~BackgroundThread();
  BackgroundThread(const BackgroundThread&) = delete;
  BackgroundThread& operator=(const BackgroundThread&) = delete;

  /// Starts a job; none may be running. What it wrote is seen by this thread once idle() is true.
  void start(std::function<void()> job);
  /// No job is running. Rethrows, once, what the last one threw.
  bool idle();
  /// Blocks until no job is running. Rethrows alike.
  void wait();
  /// Requested when the thread is to end.
  std::stop_token stop_token() const { return stop_.get_token(); }

 private:
  void work();
  void do_job(const std::function<void()>& job) const;
  void rethrow();

  c10::Device device_;
  std::stop_source stop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> job_;    // empty: idle
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace valbench
