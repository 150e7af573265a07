// What can be wrong between ranks that somebody else starts, each with files and an environment of its own: said before anything is trained.
// What one rank can see for itself in its environment is in engine_tests.cpp.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/file.h"
#include "scenario/run_spec.h"
#include "tests/process/sweep_sandbox.h"
#include "tests/support/catch.h"
#include "tests/support/programs.h"

using namespace valbench;
using namespace valbench::test;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

/// A port of this machine; with `keep` somebody listens there and never answers.
class Port {
 public:
  explicit Port(bool keep) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    socklen_t size = sizeof address;
    auto* name = reinterpret_cast<sockaddr*>(&address);
    REQUIRE((::bind(fd_.value(), name, size) == 0 && ::listen(fd_.value(), 8) == 0 && ::getsockname(fd_.value(), name, &size) == 0));
    number_ = ntohs(address.sin_port);
    if (!keep) fd_.close();
  }
  int number() const { return number_; }

 private:
  OwnedFd fd_;
  int number_ = 0;
};

const std::string kScenario =
    "name: two\ndata: set/data.yaml\nimgsz: 64\nepochs: 1\nbatch_size: 4\nranks: 2\ndevice: cpu\nthreads: 1\nrounds: 1\nhang_timeout: 3\n"
    "validation: {batch_size: 2}\nbaseline: sharded\nstrategies:\n  - {name: sharded, placement: sharded}\n"
    "  - {name: dedicated, placement: dedicated}\n";

/// A run of two ranks that are started by hand.
class TwoRanks {
 public:
  TwoRanks() : sandbox_(kScenario) {
    sandbox_.make_data("set");
    const Outcome plan = sandbox_.valbench({"plan", "scenario.yaml", "--out", "out", "--write"});
    INFO(plan.output);
    REQUIRE(plan.code == 0);
  }

  const SweepSandbox& sandbox() const { return sandbox_; }
  fs::path spec(const std::string& run = "r00-sharded") const { return sandbox_.out() / run / "spec.json"; }

  /// What a rank is told that rank 0 is not: another spec.json.
  template <class Change>
  fs::path other_spec(const Change& change, const std::string& run = "r00-sharded") const {
    RunSpec other = read_run_spec(spec(run));
    change(other);
    write_run_spec(other, sandbox_.path() / "other.json");
    return sandbox_.path() / "other.json";
  }

  /// Rank 0 with its spec and rank 1 with `other`, to their ends; what each said and its exit code come back as `code: text`.
  std::pair<std::string, std::string> run(const fs::path& other, const std::string& name = "r00-sharded") const {
    const std::string rank = built("src/main/valbench-rank").string() + " --spec ", port = std::to_string(Port(false).number());
    const auto command = [&](int number, const fs::path& file) {
      const std::string log = "rank" + std::to_string(number);
      return "(RANK=" + std::to_string(number) + " " + rank + file.string() + " >" + log + " 2>&1; echo \"$?: $(cat " + log + ")\" >" + log +
             ".end) ";
    };
    const CapturedRun done = run_captured({"/usr/bin/env", "-C", sandbox_.path().string(), "WORLD_SIZE=2", "MASTER_ADDR=127.0.0.1",
                                           "MASTER_PORT=" + port, "/bin/sh", "-c", command(0, spec(name)) + "& " + command(1, other) + "; wait"},
                                          120);
    INFO(done.output);
    REQUIRE(done.exit.ok());
    return {read_file(sandbox_.path() / "rank0.end"), read_file(sandbox_.path() / "rank1.end")};
  }

  /// One rank alone with this environment.
  CapturedRun run_alone(int rank, int port) const {
    return run_captured({"/usr/bin/env", "-C", sandbox_.path().string(), "RANK=" + std::to_string(rank), "WORLD_SIZE=2",
                         "MASTER_ADDR=127.0.0.1", "MASTER_PORT=" + std::to_string(port), built("src/main/valbench-rank").string(), "--spec",
                         spec().string()},
                        120);
  }

  void check_nothing_was_trained() const {
    for (const auto& entry : fs::recursive_directory_iterator(sandbox_.out())) CHECK(entry.path().extension() != ".safetensors");
    CHECK_FALSE(fs::exists(spec().parent_path() / "run.json"));
  }

 private:
  SweepSandbox sandbox_;
};

/// Both ranks refuse the run with the same sentence.
void check_both(const std::pair<std::string, std::string>& ranks, const std::vector<std::string>& parts) {
  for (const std::string& said : {ranks.first, ranks.second}) {
    INFO(said);
    CHECK(said.starts_with("2: rank "));
    for (const std::string& part : parts) CHECK_THAT(said, Contains(part));
  }
}

}  // namespace

TEST_CASE("ranks with different spec files say which setting differs") {
  const TwoRanks two;
  check_both(two.run(two.other_spec([](RunSpec& spec) { spec.epochs = 3; })),
             {"rank 1 was started with another spec than rank 0 (epochs: 1, now 3); start all ranks with one spec.json"});
  check_both(two.run(two.other_spec([](RunSpec& spec) { spec.validation.interval = 2; })), {"(validation.interval: 1, now 2)"});
  two.check_nothing_was_trained();
}

TEST_CASE("ranks that see different images or labels say which is the first") {
  const TwoRanks two;
  const fs::path copy = two.sandbox().make_data("copy");
  const fs::path other = two.other_spec([&](RunSpec& spec) { spec.data = copy / "data.yaml"; });
  const auto file = [&](const char* folder, std::size_t number) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(copy / folder)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files.at(number);
  };
  // The same set in another place is the same set.
  const auto equal = two.run(other);
  INFO(equal.first << equal.second);
  CHECK(equal.first.starts_with("0: "));
  CHECK(equal.second.starts_with("0: "));
  fs::remove_all(two.spec().parent_path() / "weights");
  fs::remove(two.spec().parent_path() / "run.json");

  const std::string label = read_file(file("labels/train", 5));
  write_atomically(file("labels/train", 5), "0 0.5 0.5 0.25 0.25\n");
  check_both(two.run(other), {"the ranks see different training data: rank 0 8 images with ", ", rank 1 8 images with ",
                              "the first image that differs in name, size or labels is number 5 (", file("images/train", 5).filename().string(),
                              "Give every host the same data set"});
  write_atomically(file("labels/train", 5), label);
  fs::remove(file("images/val", 11));
  const std::vector<std::string> lacks = {"different validation data: rank 0 12 images with ", ", rank 1 11 images with ", "is number 11 ("};
  check_both(two.run(other), lacks);
  // A rank that only validates compares what it has.
  const auto dedicated = two.other_spec([&](RunSpec& spec) { spec.data = copy / "data.yaml"; }, "r00-dedicated");
  check_both(two.run(dedicated, "r00-dedicated"), lacks);
  two.check_nothing_was_trained();
}

TEST_CASE("a port that another program has is named by rank 0 at once, and by the others when nobody answers there") {
  const TwoRanks two;
  const Port taken(true);
  const std::string place = "127.0.0.1:" + std::to_string(taken.number());
  const CapturedRun first = two.run_alone(0, taken.number());
  INFO(first.output);
  CHECK(first.exit.code == 2);
  CHECK_THAT(first.output, Contains("rank 0 cannot meet the others at " + place) && Contains("that the port is free"));
  const CapturedRun second = two.run_alone(1, taken.number());
  INFO(second.output);
  CHECK(second.exit.code == 4);
  CHECK_THAT(second.output, Contains("rank 1 has not met the others at " + place) && Contains("or the port is another program's"));
  two.check_nothing_was_trained();
}

TEST_CASE("a rank that was not started is named, instead of an endless wait") {
  const TwoRanks two;
  const CapturedRun alone = two.run_alone(0, Port(false).number());
  INFO(alone.output);
  CHECK(alone.exit.code == 4);
  CHECK_THAT(alone.output, Contains("rank 1 of 2 did not come to 127.0.0.1:") && Contains("see whether it was started"));
  two.check_nothing_was_trained();
}

TEST_CASE("two sweeps cannot write into one folder") {
  const SweepSandbox sandbox;
  RunningCommand first(sandbox.sweep_command({}));
  REQUIRE(first.wrote("epoch 1/1"));
  const Outcome second = sandbox.sweep();
  INFO(second.output);
  CHECK(second.code == 2);
  CHECK_THAT(second.output, Contains("another sweep is writing into ") && Contains("--out DIR"));
  CHECK(occurrences(second.output, "\n") == 1);
  CHECK(first.finish().code == 0);
}
