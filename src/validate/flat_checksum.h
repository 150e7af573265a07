/// \file
/// Which weights they are.
#pragma once
#include <ATen/core/Tensor.h>

#include <string>

namespace valbench {

/// Checksum of a tensor's values, on whatever device; waits for it. 16 hexadecimal digits.
std::string flat_checksum(const at::Tensor& flat);

}  // namespace valbench
