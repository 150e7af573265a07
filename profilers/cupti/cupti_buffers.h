/// \file
/// The buffers that CUPTI fills, and the queue of filled ones.
#pragma once
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace valbench {

/// One per process and never destroyed: CUPTI calls back without a user pointer, from its own thread, possibly while statics
/// are being destroyed.
class CuptiBuffers {
 public:
  static constexpr std::size_t kBufferBytes = std::size_t{4} << 20;
  struct Filled {
    std::uint8_t* data = nullptr;
    std::size_t valid_bytes = 0;
  };

  static CuptiBuffers& instance();

  /// Fills the pool up to `count` buffers, touched, so that no launch pays for page faults.
  void reserve(std::size_t count);

  /// A free buffer; allocated when the pool is empty, null when memory is. Called inside the application's CUDA calls.
  std::uint8_t* acquire() noexcept;
  /// Queues a filled buffer. Called on CUPTI's thread.
  void complete(std::uint8_t* data, std::size_t valid_bytes) noexcept;

  /// Waits for a filled buffer; data is null once close() was called and none is left.
  Filled take();
  /// Returns what take() gave.
  void give_back(std::uint8_t* data) noexcept;
  /// Waits until every filled buffer was given back.
  void wait_drained();
  void open();   ///< take() waits from now on.
  void close();  ///< take() ends when the queue is empty.

  /// Buffers allocated inside CUDA calls because the pool was empty.
  std::int64_t late_allocations();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint8_t*> free_;
  std::vector<Filled> filled_;
  std::size_t in_parser_ = 0;
  std::int64_t late_allocations_ = 0;
  bool open_ = false;
};

}  // namespace valbench
