/// \file
/// A collective that failed on this rank.
#pragma once
#include "base/error.h"

namespace valbench {

/// what() names the collective and holds the communication library's reason. The cause is often another rank, so whoever reports it
/// asks the collective checker first.
class CollectiveError : public Error {
 public:
  using Error::Error;
};

}  // namespace valbench
