/// \file
/// Whether two scans saw the same image.
#pragma once
#include <cstdint>

#include "data/yolo_dataset.h"

namespace valbench {

/// Of an image's file name, size and labels. Not of its folder, which may lie elsewhere on another host, and not of its pixels.
std::uint64_t image_checksum(const ImageEntry& image);

}  // namespace valbench
