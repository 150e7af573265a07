/// \file
/// Trying out on a GPU how much memory something takes.
#pragma once
#include <c10/core/Device.h>

#include <functional>
#include <optional>

#include "data/data_loader.h"

namespace valbench {

/// Memory that nobody uses, MiB, with the caching allocator's unused blocks given back.
double free_gpu_mib(c10::Device device);

/// Does something; by how much the memory reserved on the GPU grew meanwhile at most, MiB. Nothing where it did not
/// suffice. The allocator's peaks begin anew.
std::optional<double> growth_while(c10::Device device, const std::function<void()>& work);

/// Gives unused blocks back and lets the allocator's peaks begin anew, so that no record shows what was only tried.
void forget_gpu_memory(c10::Device device);

/// Grey images, and labels all over them.
Batch grey_batch(int images, int height, int width, int classes);

}  // namespace valbench
