// The pickle reader, and what is asked of its graph.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "detect/weights/pickle_reader.h"
#include "tests/fuzz/fuzz_input.h"

using namespace valbench;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::read_or_refuse([&] {
    const PickleGraph graph = read_pickle(fuzz::as_text(data, size), "input");
    fuzz::require(graph.root() < graph.size(), "the root is a node");
    fuzz::require(graph.dangerous().size() <= 5, "a short list of dangerous calls");
    graph.to_json(graph.root()).dump();
    const auto most = static_cast<PickleId>(std::min<std::size_t>(graph.size(), 1000));
    for (PickleId id = 0; id < most; ++id) {
      graph.number(id);
      graph.class_of(id);
      graph.find(id, "model");
    }
  });
  return 0;
}
