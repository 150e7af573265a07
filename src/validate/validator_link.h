/// \file
/// How rank 0, which trains, and the ranks that only validate talk to each other. What is asked and answered are keys of the store, so that
/// nobody stands in a collective for as long as the others train or score; weights go through a broadcast that begins when both sides are
/// there.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "record/run_record.h"

namespace valbench {

/// What rank 0 asks of the validators.
struct ValidatorOrder {
  enum class Kind {
    score,  ///< Receive weights and score them.
    meet,   ///< Nothing but a barrier: rank 0 waits in a collective until all validators are free.
    leave   ///< The training is over.
  };
  Kind kind = Kind::score;
  int epoch = 0;
  std::string checksum;  ///< Of the weights to score.
};

/// Rank 0's end. Place 0 of `group` is rank 0, the others are the validators. Orders are numbered from 0.
class ValidatorLink {
 public:
  ValidatorLink(Communicator& group, std::unique_ptr<KeyStore> store) : group_(group), store_(std::move(store)) {}

  /// Has every validator said that it waits for the next order? Never blocks.
  bool all_ready();
  /// Has the validators score these weights. They must be ready, or have met since their last order. On a GPU the current stream waits.
  void send(const at::Tensor& state, int epoch, const std::string& checksum);
  /// Blocks until every validator has carried out its orders.
  void meet();
  /// Lets the validators go.
  void leave();
  /// What the validators have kept for rank 0, after leave(): the bytes of each place.
  std::vector<std::vector<std::byte>> collect() { return group_.gather_bytes({}, 0); }
  /// The answer to the last send(). Never blocks.
  std::optional<ValidationRecord> look_up_result();
  /// The same; blocks. After meet() it is there already, or on its way.
  ValidationRecord wait_for_result();

 private:
  void give(const ValidatorOrder& order);

  Communicator& group_;
  std::unique_ptr<KeyStore> store_;
  std::int64_t next_ = 0, sent_ = 0;
};

/// A validator's end; places of `group` as above.
class TrainerLink {
 public:
  TrainerLink(Communicator& group, std::unique_ptr<KeyStore> store) : group_(group), store_(std::move(store)) {}

  /// Says that this validator is ready, and waits for what it is to do.
  ValidatorOrder next();
  /// What follows an order: the weights after `score`, the barrier after `meet`.
  void receive(at::Tensor state) { group_.broadcast(state, 0); }
  void meet() { group_.barrier(); }
  /// After `leave`: what this validator has kept for rank 0.
  void hand_over(std::span<const std::byte> bytes) { static_cast<void>(group_.gather_bytes(bytes, 0)); }
  /// Answers the last order; one of the validators does it for all.
  void answer(const ValidationRecord& record);

 private:
  Communicator& group_;
  std::unique_ptr<KeyStore> store_;
  std::int64_t number_ = -1;
};

}  // namespace valbench
