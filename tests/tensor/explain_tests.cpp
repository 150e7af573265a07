#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <new>
#include <stdexcept>

#include "main/rank_start.h"
#include "tests/support/catch.h"

using namespace valbench;
using Catch::Contains;

namespace {
RunSpec spec_of_two_ranks() {
  RunSpec spec;
  spec.batch_size = 96, spec.ranks = 2, spec.imgsz = 1280;
  return spec;
}
const auto kNamesTheSizes = Contains("out of memory with batch_size 96 on 2 ranks, validation batch_size auto, imgsz 1280");
}  // namespace

TEST_CASE("out of memory says which batch sizes were tried, whoever ran out of it") {
  RunSpec spec = spec_of_two_ranks();
  CHECK_THAT(explain(std::bad_alloc(), spec), kNamesTheSizes && Contains("make one of them smaller"));
  std::string from_torch;
  try {
    at::empty({std::int64_t{1} << 50}, at::kFloat);  // A petabyte: refused by every machine.
  } catch (const std::exception& error) {
    from_torch = explain(error, spec);
  }
  CHECK_THAT(from_torch, kNamesTheSizes && Contains("you tried to allocate 4503599627370496 bytes"));
  spec.validation.batch_max = true;
  CHECK_THAT(explain(std::bad_alloc(), spec), Contains("validation batch_size max"));
  spec.validation.batch_max = false, spec.validation.batch_size = 512;
  CHECK_THAT(explain(std::bad_alloc(), spec), Contains("validation batch_size 512"));
}

TEST_CASE("any other failure is told as it is, without torch's back-trace") {
  CHECK(explain(std::runtime_error("the loader stopped"), spec_of_two_ranks()) == "the loader stopped");
  std::string text;
  try {
    at::zeros({2, 3}).view({7});
  } catch (const c10::Error& error) {
    text = explain(error, spec_of_two_ranks());
  }
  CHECK_THAT(text, Contains("shape '[7]' is invalid"));
  CHECK(text.find("frame #") == std::string::npos);
  CHECK(text.find("out of memory") == std::string::npos);
}
