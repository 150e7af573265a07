// valbench-rank: one process per rank. Reads its RunSpec, meets the other ranks, trains, and leaves its record in the run folder.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "comm/collective_error.h"
#include "comm/collective_watch.h"
#include "comm/rendezvous.h"
#include "detect/weights/stored_network.h"
#include "main/deadline.h"
#include "main/phase_file.h"
#include "main/rank_start.h"
#include "main/run_tracing.h"
#include "main/training_sinks.h"
#include "main/val_job.h"
#include "train/auto_batch.h"
#include "train/rank_agreement.h"
#include "train/rank_job.h"
#include "train/training_state.h"

namespace valbench {
namespace {

/// One process of a run.
struct ThisRank {
  int rank = 0;
  RunSpec spec;
  std::shared_ptr<PhaseFile> phase;  ///< Of a training.
  std::unique_ptr<CollectiveWatch> watch;
  std::unique_ptr<Communicator> communicator;
};

/// Leaves the reason where the controller finds it, and on standard error for whoever started the rank by hand.
/// \param place `in epoch 3, phase train.forward`; the controller reads it from the rank's PhaseFile.
void report_failure(const std::filesystem::path& folder, int rank, const std::string& place, const std::string& message) {
  fmt::print(stderr, "rank {}{}: {}\n", rank, place.empty() ? "" : " " + place, message);
  if (folder.empty()) return;
  try {
    write_atomically(folder / fmt::format("rank-{}.error.json", rank),
                     nlohmann::json{{"rank", rank}, {"message", message}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  } catch (const std::exception& error) {
    fmt::print(stderr, "rank {}: {}\n", rank, error.what());
  }
}

/// For whoever finds that this rank cannot go on while its own thread stands still.
[[noreturn]] void end_process(const std::filesystem::path& folder, int rank, const std::string& place, const std::string& message) {
  report_failure(folder, rank, place, message);
  std::fflush(nullptr);
  _exit(4);
}

/// Runs `work`; what it throws is reported and becomes an exit code.
template <class Work>
int guarded(const ThisRank& self, const Work& work) {
  const auto report = [&self](const std::string& message) {
    report_failure(self.spec.folder, self.rank, self.phase ? self.phase->text() : std::string(), message);
  };
  try {
    work();
    return 0;
  } catch (const InputError& error) {
    report(error.what());
    return 2;
  } catch (const CollectiveError& error) {
    const std::string verdict = self.watch ? self.watch->verdict() : std::string();
    report(verdict.empty() ? error.what() : verdict + ". So " + error.what());
    return 4;
  } catch (const std::exception& error) {
    report(explain(error, self.spec));
    return 4;
  }
}

/// The collective checker of this rank. What it finds ends the process: the rank itself may hang.
std::unique_ptr<CollectiveWatch> start_watch(const Rendezvous& rendezvous, const ThisRank& self) {
  const auto report = [folder = self.spec.folder, rank = self.rank, phase = self.phase](const std::string& what) {
    end_process(folder, rank, phase ? phase->text() : std::string(), what);
  };
  return std::make_unique<CollectiveWatch>(rendezvous, self.spec.hang_timeout_s, report);
}

/// All ranks come together, and are watched from then on. Most of what they wait in until then has no time-out that is short enough.
Communicator& meet(Rendezvous& rendezvous, ThisRank& self) {
  constexpr double kStart_s = 3, kMore_s = 3;  // Ranks do not start at once; rank 0's own time-out, which names who is missing, comes first.
  if (self.spec.hang_timeout_s > 0) rendezvous.timeout_s = self.spec.hang_timeout_s + kStart_s;
  const double limit_s = rendezvous.timeout_s + kMore_s;
  const Deadline deadline(limit_s, [&rendezvous, limit_s, folder = self.spec.folder] {
    end_process(folder, rendezvous.rank, {},
                fmt::format("rank {} has not met the others at {}:{} for {:.0f} s: {} does not answer. Its process is stopped, its machine "
                            "is gone, or the port is another program's",
                            rendezvous.rank, rendezvous.address, rendezvous.port, limit_s,
                            rendezvous.rank == 0 ? "a rank that was there" : "rank 0"));
  });
  self.communicator = connect(rendezvous, self.spec);
  if (self.spec.hang_timeout_s > 0) {
    self.watch = start_watch(rendezvous, self);
    self.communicator = self.watch->watched(std::move(self.communicator));
  }
  return *self.communicator;
}

/// Batches done, as the controller reads them.
std::function<void(std::int64_t, std::int64_t)> validation_progress() {
  return [sink = progress_to_controller()](std::int64_t batch, std::int64_t batches) { sink(0, batch, batches, "val"); };
}

/// One line of JSON: which model the file holds weights of (`model`, and `yaml` where it is none of YOLOv5's sizes), or the `error`.
int describe_weights(const std::filesystem::path& file) {
  nlohmann::json answer;
  int code = 0;
  try {
    const StoredNetwork network = stored_network(read_model_weights(file), file);
    answer = {{"model", network.name}, {"yaml", network.yaml}};
  } catch (const InputError& error) {
    answer = {{"error", error.what()}};
    code = 2;
  }
  fmt::print("{}\n", answer.dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace));
  return code;
}

/// What the rank was started for: a training run, or a stand-alone validation.
enum class RankTask { train, validate };

/// \param closing_file of a single training: it tells the console about its batches, draws, and ends with a validation.
int run(const std::filesystem::path& spec_file, RankTask task, const std::filesystem::path& closing_file = {}) {
  ThisRank self;
  RunSpec& spec = self.spec;
  const int code = guarded(self, [&] {
    Rendezvous rendezvous = rendezvous_from_environment();
    const int rank = self.rank = rendezvous.rank;
    ValSpec val;
    if (task == RankTask::validate) val = read_val_spec(spec_file);
    spec = task == RankTask::validate ? rank_layout(val) : read_run_spec(spec_file);
    if (task == RankTask::train) self.phase = std::make_shared<PhaseFile>(spec.folder, rank);
    start_threads(spec.torch_threads);
    Communicator& communicator = meet(rendezvous, self);
    const c10::Device device = device_of(rendezvous, spec);
    if (task == RankTask::validate) {
      return run_val_job(val, communicator, device, rank == 0 ? validation_progress() : nullptr);
    }
    agree_on_spec(communicator, spec);
    settle_batch_size(spec);
    std::vector<SpanListener*> first{&self.phase->main_thread()};
    if (self.watch) first.push_back(&self.watch->spans());
    RunTracing instruments(spec, rank, first, self.phase->beside());
    if (self.watch) instruments.tracer().beside()->add_listener(self.watch->spans_beside());
    const TrainingSinks sinks = rank == 0 && spec.scenario.empty() ? training_sinks(spec) : TrainingSinks{};
    std::optional<ValSpec> closing;
    if (!closing_file.empty()) {
      closing = read_val_spec(closing_file);
      closing->batch_size = closing_val_spec(spec, closing->plots).batch_size;  // It may have been measured just now.
    }
    run_rank_job(spec, communicator, device, rank == 0 ? progress_to_controller() : ProgressSink(), instruments, sinks.epoch,
                 sinks.batch, closing);
    self.phase->remove();
  });
  // Closing the connections makes every other rank fail too, and the cause had to be written down first. Now the process
  // ends with them open.
  if (code != 0) (void)self.communicator.release(), (void)self.watch.release();
  return code;
}

/// One line of JSON: what a training could resume from in the file, or why it cannot be read.
int describe_checkpoint(const std::filesystem::path& file) {
  try {
    fmt::print("{}\n", resume_facts_to_json(read_training_state(file).facts));
    return 0;
  } catch (const InputError& error) {
    fmt::print("{}\n", nlohmann::json{{"error", error.what()}}.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
    return 2;
  }
}

}  // namespace
}  // namespace valbench

int main(int argc, char** argv) {
  CLI::App app("One rank of a valbench run; started by valbench, torchrun, srun or mpirun.");
  std::string spec, val, closing, checkpoint, weights;
  app.add_option("--model-of", weights, "Print which model this file holds weights of, as one line of JSON");
  bool versions = false;
  app.add_option("--spec", spec, "spec.json of the run");
  app.add_option("--val", val, "val-spec.json of a stand-alone validation");
  app.add_option("--closing", closing, "val-spec.json of the validation that closes the training of --spec");
  app.add_flag("--versions", versions, "Print the versions of LibTorch, CUDA and NCCL as one line of JSON");
  app.add_option("--checkpoint", checkpoint, "Print what a training can resume from in this file, as one line of JSON");
  CLI11_PARSE(app, argc, argv);
  if (versions) {
    fmt::print("{}\n", valbench::versions_json());
    return 0;
  }
  if (!checkpoint.empty() || !weights.empty()) {
    const int described = weights.empty() ? valbench::describe_checkpoint(checkpoint) : valbench::describe_weights(weights);
    std::fflush(nullptr);
    _exit(described);
  }
  if (spec.empty() == val.empty()) {
    fmt::print(stderr, "valbench-rank needs --spec FILE or --val FILE\n");
    return 2;
  }
  const int code = val.empty() ? valbench::run(spec, valbench::RankTask::train, closing) : valbench::run(val, valbench::RankTask::validate);
  std::fflush(nullptr);
  // Not exit(): background threads of NCCL and CUDA may still run, and their static destructors race with ours.
  _exit(code);
}
