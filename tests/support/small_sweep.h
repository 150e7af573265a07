/// \file
/// A sweep of two strategies on two ranks that takes seconds, through the real programs.
#pragma once
#include <string>
#include <vector>

#include "base/subprocess.h"
#include "tests/support/programs.h"
#include "tests/support/scratch_folder.h"

namespace valbench::test {

/// Runs it in a folder of its own.
class SmallSweep {
 public:
  /// \param environment variables as NAME=VALUE. \param arguments added to the command line.
  CapturedRun run(const std::string& out, const std::vector<std::string>& arguments,
                  const std::vector<std::string>& environment = {}) const {
    std::vector<std::string> argv{"/usr/bin/env"};
    argv.insert(argv.end(), environment.begin(), environment.end());
    for (const std::string& word : {built("src/main/valbench").string(), std::string("sweep"), scenario_.string(),
                                    std::string("--out"), (folder(out)).string()}) {
      argv.push_back(word);
    }
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return run_captured(argv, kLimit_s);
  }

  std::filesystem::path folder(const std::string& out) const { return scratch_.path() / out; }

 private:
  static constexpr double kLimit_s = 600;
  ScratchFolder scratch_;
  std::filesystem::path scenario_ = scratch_.write("small.yaml", R"(name: small
model: yolov5n
weights: none
data: synth
synth: {train_images: 16, val_images: 16, classes: 2, width: 64, height: 64}
imgsz: 64
epochs: 2
batch_size: 8
ranks: 2
device: cpu
rounds: 1
baseline: rank0
strategies:
  - {name: rank0}
  - {name: sharded, placement: sharded}
)");
};

}  // namespace valbench::test
