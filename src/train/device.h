/// \file
/// The few questions about a device that training asks; a CPU answers them too.
#pragma once
#include <c10/core/Device.h>

namespace valbench {

/// Waits until the device has done all work of this thread's stream, not for a validation beside it. Nothing to do on a CPU.
void synchronize(c10::Device device);

/// Most memory in use so far: the process's resident set on a CPU, the caching allocator's allocated memory on a GPU. MiB.
double peak_memory_mib(c10::Device device);

}  // namespace valbench
