#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <new>

#include "main/rank_start.h"

namespace valbench {

namespace {

std::string validation_batch(const ValidationSpec& spec) {
  if (spec.batch_max) return "max";
  return spec.batch_size > 0 ? std::to_string(spec.batch_size) : "auto";
}

}  // namespace

std::string explain(const std::exception& error, const RunSpec& spec) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  const std::string text = torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
  // LibTorch's CPU allocator and OpenCV have no exception of their own for this.
  const bool out_of_memory = dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
                             dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
                             text.find("DefaultCPUAllocator") != std::string::npos ||
                             text.find("Insufficient memory") != std::string::npos;
  if (!out_of_memory) return text;
  return fmt::format("out of memory with batch_size {} on {} ranks, validation batch_size {}, imgsz {}; make one of them smaller. {}",
                     spec.batch_size, spec.ranks, validation_batch(spec.validation), spec.imgsz, text);
}

}  // namespace valbench
