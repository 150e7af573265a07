/// \file
/// What the strategies share in which every rank of the communicator scores a part.
#pragma once
#include "validate/blocking_strategy.h"
#include "validate/shard.h"

namespace valbench {

class DealtStrategy : public BlockingStrategy {
 public:
  /// Deals as the spec's `shard` says.
  explicit DealtStrategy(const ValidationContext& context);

 protected:
  /// Scores this rank's part with the weights that scorer() has loaded; `found` begins as files().none_yet().
  PartialScore score_share(FoundDetections& found);

 private:
  Shard shard_;
};

}  // namespace valbench
