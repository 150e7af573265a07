// A file of hyperparameters, and the same bytes as an opt.yaml, up to the training that it asks for.
#include "scenario/train_options.h"
#include "tests/fuzz/fuzz_input.h"

using namespace valbench;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file(fuzz::as_text(data, size));
  const std::string path = file.path().string();
  fuzz::read_or_refuse([&] {
    const Scenario training =
        parse_training({{"data", "synth", "--data synth"}, {"hyp", path, "--hyp " + path}}, {8, 2, ""});
    hyp_yaml(training.base.hyp);
  });
  fuzz::read_or_refuse([&] {
    std::vector<std::string> ignored;
    TrainArguments arguments = read_opt_yaml(file.path(), ignored);
    arguments.given["data"] = path;
    run_spec_to_json(parse_train_options(arguments, {8, 2, ""}).base);
  });
  return 0;
}
