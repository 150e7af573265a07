/// \file
/// What the exactness gate needs of validations that another rank than 0 has merged, kept there until the clock has stopped.
#pragma once
#include <cstddef>
#include <map>
#include <span>
#include <vector>

#include "scenario/run_spec.h"
#include "validate/partial_score.h"

namespace valbench {

class KeptScores {
 public:
  explicit KeptScores(VerifyMode mode) : mode_(mode) {}

  /// Under `last` the newest epoch's replaces the one before.
  void keep(int epoch, PartialScore merged);
  /// Plain bytes for Communicator::gather_bytes.
  std::vector<std::byte> pack() const;
  /// By epoch; nothing from no bytes. Throws Error when the bytes are not what pack() wrote.
  static std::map<int, PartialScore> unpack(std::span<const std::byte> bytes);

 private:
  VerifyMode mode_;
  std::map<int, PartialScore> kept_;
};

}  // namespace valbench
