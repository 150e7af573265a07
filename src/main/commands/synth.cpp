#include "data/synthetic_dataset.h"

#include "base/error.h"
#include "base/log.h"
#include "main/commands/commands.h"

namespace valbench {

int run_synth(const SynthOptions& options) {
  if (std::filesystem::exists(options.out / "data.yaml")) {
    throw InputError(options.out.string() +
                     " already holds a data set. Remove it, or choose another folder with --out DIR");
  }
  make_synthetic_dataset(options.spec, options.out);
  print_line((options.out / "data.yaml").string());
  return 0;
}

}  // namespace valbench
