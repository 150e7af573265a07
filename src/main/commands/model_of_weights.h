/// \file
/// Which model a weights file is of, as `--weights yolov5s.pt` alone asks for (reference yolov5.md §1.8).
#pragma once
#include <filesystem>
#include <string>

namespace valbench {

/// The built-in name, or for another network the path of its model YAML, which is laid into valbench's cache folder. Asks valbench-rank:
/// this program links no torch, and survives whatever is in the file. Throws InputError with what is wrong with the file.
std::string model_of_weights_file(const std::filesystem::path& weights, const std::filesystem::path& rank_program);

}  // namespace valbench
