/// \file
/// Reads a pickle without executing it.
#pragma once
#include <string>
#include <string_view>

#include "detect/weights/pickle_graph.h"

namespace valbench {

/// Reads protocols 0 to 5 into a graph. Every class, function and call becomes an inert record; the stack, memo and graph stay smaller
/// than a fixed multiple of the input, whatever it holds. Throws InputError naming `label` and the place of what is wrong.
PickleGraph read_pickle(std::string_view bytes, const std::string& label);

}  // namespace valbench
