// The reader of model YAML files, and the plan of the layers that it describes.
#include "scenario/model_yaml.h"
#include "tests/fuzz/fuzz_input.h"

using namespace valbench;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(fuzz::as_text(data, size));
  for (const Compat compat : {Compat::v7_0, Compat::head}) {
    fuzz::read_or_refuse([&] {
      const LayerTable table = parse_model_yaml(text, "model.yaml", compat);
      const LayerPlan plan = plan_layers(table, table.classes);
      fuzz::require(plan.layers.size() == table.rows.size(), "a layer for every row");
      fuzz::require(size_multiple(plan) >= 32, "a multiple for image sizes");
    });
  }
  return 0;
}
