// A flat state on a GPU as files hold it, against the model's tensors copied one by one.
#include "detect/state_layout.h"

#include <ATen/ATen.h>

#include "tests/support/catch.h"
#include "tests/support/gpu.h"

using namespace valbench;

TEST_CASE("the entries of a flat state on a GPU come to the host row-major, bit for bit, in fp32 and fp16") {
  if (const std::string reason = valbench::test::no_gpu_here(); !reason.empty()) VB_SKIP(reason);
  const auto model = make_yolov5("yolov5n", 3, 0);
  for (StateEntry& entry : model->state()) entry.tensor.set_data(entry.tensor.to(at::kCUDA));
  use_channels_last(model->state());
  const at::Tensor flat = flatten_state(model->state());
  const at::ScalarType dtype = GENERATE(at::kFloat, at::kHalf);
  const auto entries = host_entries(flat.to(dtype), model->state());
  REQUIRE(entries.size() == flat_state_layout(model->state()).size());
  for (const auto& [slice, tensor] : entries) {
    CHECK(tensor.is_contiguous());
    CHECK(at::equal(tensor, model->state()[slice.entry].tensor.detach().cpu().to(dtype)));
  }
}
