/// \file
/// A loop over independent items on several threads.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace valbench {

/// Calls `body(item)` once for every item in [0, count), on at most `threads` threads, the caller's among them. Threads
/// take the items as they become free, so `body` must give the same result in any order. Rethrows the first exception.
template <typename Body>
void parallel_for(std::size_t count, int threads, Body&& body) {
  const std::size_t workers = std::min<std::size_t>(count, static_cast<std::size_t>(std::max(threads, 1)));
  if (workers <= 1) {
    for (std::size_t item = 0; item < count; ++item) body(item);
    return;
  }
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto work = [&] {
    try {
      for (std::size_t item = next++; item < count; item = next++) body(item);
    } catch (...) {
      next = count;
      const std::lock_guard lock(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> pool;
    pool.reserve(workers - 1);
    for (std::size_t worker = 1; worker < workers; ++worker) pool.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace valbench
