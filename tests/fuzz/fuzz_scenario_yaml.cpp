// The scenario reader, and the runs' specification that is written from what it read.
#include "scenario/scenario.h"
#include "tests/fuzz/fuzz_input.h"

using namespace valbench;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file(fuzz::as_text(data, size));
  fuzz::read_or_refuse([&] {
    const Scenario scenario = parse_scenario(file.path(), {}, {8, 2, ""});
    RunSpec spec = scenario.base;
    spec.validation = scenario.strategies.at(0);
    const std::string text = run_spec_to_json(spec);
    fuzz::require(run_spec_to_json(run_spec_from_json(text)) == text,
                  "a specification that reads back as it was written");
  });
  return 0;
}
