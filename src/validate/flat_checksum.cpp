#include "validate/flat_checksum.h"

#include <ATen/ATen.h>

#include "base/checksum.h"

namespace valbench {

std::string flat_checksum(const at::Tensor& flat) {
  const at::Tensor host = flat.detach().cpu().contiguous();
  return checksum_text(checksum({static_cast<const std::byte*>(host.const_data_ptr()), host.nbytes()}));
}

}  // namespace valbench
