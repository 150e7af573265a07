#include "validate/background_thread.h"

#include <ATen/Parallel.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>

#include "base/error.h"

namespace valbench {

BackgroundThread::BackgroundThread(c10::Device device) : device_(device), thread_([this] { work(); }) {}

BackgroundThread::~BackgroundThread() {
  stop_.request_stop();
  {
    // Without the lock the request could fall between the thread's look and its sleep.
    const std::lock_guard lock(mutex_);
  }
  changed_.notify_all();
  thread_.join();
}

void BackgroundThread::start(std::function<void()> job) {
  const std::lock_guard lock(mutex_);
  if (job_) throw Error("a validation beside training was started while another one was running");
  job_ = std::move(job);
  changed_.notify_all();
}

bool BackgroundThread::idle() {
  const std::lock_guard lock(mutex_);
  if (!job_) rethrow();
  return !job_;
}

void BackgroundThread::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !job_; });
  rethrow();
}

void BackgroundThread::rethrow() {
  if (const std::exception_ptr failure = std::exchange(failure_, nullptr)) std::rethrow_exception(failure);
}

void BackgroundThread::work() {
  at::init_num_threads();
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return job_ || stop_.stop_requested(); });
    if (stop_.stop_requested()) return;
    // start() is refused while job_ is set, so that nobody writes to it now.
    lock.unlock();
    std::exception_ptr failure;
    try {
      do_job(job_);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    job_ = nullptr;
    failure_ = failure;
    changed_.notify_all();
  }
}

void BackgroundThread::do_job(const std::function<void()>& job) const {
  if (!device_.is_cuda()) return job();
  const c10::impl::VirtualGuardImpl device(device_.type());
  const c10::Stream stream = device.getStreamFromGlobalPool(device_, /*isHighPriority=*/false);
  const c10::StreamGuard guard(stream);  // of the device as well
  job();
  stream.synchronize();
}

}  // namespace valbench
