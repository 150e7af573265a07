// Early stopping and the best checkpoint on two ranks, under every strategy that validates while it trains. The training starts from weights
// that detect something and has a learning rate that spoils them, so that it stops long before its last epoch.
#include <cstdlib>
#include <map>

#include "tests/process/sweep_sandbox.h"
#include "tests/support/catch.h"

using namespace valbench;
using namespace valbench::test;
namespace fs = std::filesystem;

namespace {

constexpr int kEpochs = 12, kPatience = 2;

/// name and keys; dedicated trains other weights, on one rank.
const std::vector<std::pair<std::string, std::string>> kStrategies = {{"sharded", "placement: sharded"},
                                                                      {"overlapped", "placement: overlapped"},
                                                                      {"beside", "placement: overlapped, overlap: sharded"},
                                                                      {"background", "score: background"},
                                                                      {"both", "placement: sharded, score: background"},
                                                                      {"dedicated", "placement: dedicated"}};

std::string scenario() {
  const char* source = std::getenv("VALBENCH_SOURCE");
  const fs::path weights = fs::absolute(fs::path(source != nullptr ? source : ".") / "scenarios/weights/quickstart.safetensors");
  std::string text = "name: stopping\nweights: " + weights.string() +
                     "\ndata: synth\nsynth: {train_images: 16, val_images: 12, classes: 3, width: 128, height: 96}\nimgsz: 96\nepochs: " +
                     std::to_string(kEpochs) + "\npatience: " + std::to_string(kPatience) +
                     "\nbatch_size: 4\nranks: 2\ndevice: cpu\nthreads: 1\nrounds: 1\nhyp: {lr0: 0.05, warmup_epochs: 0}\nbaseline: rank0\n"
                     "strategies:\n  - {name: rank0}\n";
  for (const auto& [name, keys] : kStrategies) text += "  - {name: " + name + ", " + keys + "}\n";
  return text;
}

/// Epochs that each rank has trained; both end with the same one.
int epochs_of(const RunRecord& record) {
  std::map<int, int> last;
  for (const EpochRecord& epoch : record.epochs) last[epoch.rank] = std::max(last[epoch.rank], epoch.epoch);
  REQUIRE(last.size() == 2);
  CHECK(last[0] == last[1]);
  return last[0] + 1;
}

/// YOLOv5's fitness of weights that were scored in `epoch`.
double fitness_of(const RunRecord& record, int epoch) {
  for (const ValidationRecord& v : record.validations) {
    if (v.epoch == epoch) return 0.1 * v.map50 + 0.9 * v.map50_95;
  }
  FAIL("epoch " << epoch << " has no validation");
  return 0;
}

}  // namespace

TEST_CASE("under every strategy all ranks stop with the same epoch, the last weights are scored, and the best epoch is the best of those scored") {
  const SweepSandbox sandbox(scenario());
  const Outcome outcome = sandbox.sweep();
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  const RunRecord rank0 = sandbox.record("r00-rank0");
  const int stopped = epochs_of(rank0);
  REQUIRE(stopped < kEpochs - 1);  // It does stop early, with room for those who learn of it later.
  CHECK(stopped == rank0.best_epoch + kPatience + 1);
  for (const auto& [name, keys] : kStrategies) {
    INFO(name);
    const RunRecord record = sandbox.record("r00-" + name);
    const int epochs = epochs_of(record);
    CHECK(record.exactness.exact == "true");
    REQUIRE_FALSE(record.validations.empty());
    CHECK(record.validations.back().epoch == epochs - 1);
    for (const ValidationRecord& v : record.validations) CHECK(fitness_of(record, v.epoch) <= fitness_of(record, record.best_epoch));
    if (name == "dedicated") continue;
    CHECK(epochs >= stopped);
    CHECK(record.best_epoch == rank0.best_epoch);
    for (const ValidationRecord& v : rank0.validations) CHECK(fitness_of(record, v.epoch) == fitness_of(rank0, v.epoch));
    if (name == "sharded") CHECK(epochs == stopped);
  }
}
