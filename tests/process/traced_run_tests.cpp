// What a run leaves for profilers and trace viewers, through the real programs, on CPUs.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "base/file.h"
#include "record/run_store.h"
#include "tests/support/catch.h"
#include "tests/support/small_sweep.h"

using namespace valbench;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

bool programs_are_built() {
  return !test::built("src/main/valbench").empty() && !test::built("src/main/valbench-rank").empty();
}

/// Slices of one thread, each within the one around it. \return the first pair that only overlaps, or nothing.
std::string first_overlap(std::vector<json> slices) {
  const auto begin = [](const json& e) { return e["ts"].get<double>(); };
  const auto end = [&](const json& e) { return begin(e) + e["dur"].get<double>(); };
  std::stable_sort(slices.begin(), slices.end(), [&](const json& a, const json& b) {
    return begin(a) != begin(b) ? begin(a) < begin(b) : end(a) > end(b);
  });
  constexpr double kRounding_us = 0.01;
  std::vector<json> open;
  for (const json& slice : slices) {
    while (!open.empty() && end(open.back()) <= begin(slice) + kRounding_us) open.pop_back();
    if (!open.empty() && end(slice) > end(open.back()) + kRounding_us) return open.back().dump() + " " + slice.dump();
    open.push_back(slice);
  }
  return {};
}

std::vector<json> phases_in(const json& trace) {
  std::vector<json> slices;
  for (const json& event : trace["traceEvents"]) {
    const bool is_phase = event["ph"] == "X" && !event["name"].get<std::string>().starts_with("ProfilerStep");
    if (is_phase) slices.push_back(event);
  }
  return slices;
}

std::vector<std::string> lines_of(const fs::path& file) {
  std::vector<std::string> lines;
  std::istringstream in(read_file(file));
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::ptrdiff_t line_of(const std::vector<std::string>& lines, const std::string& text) {
  const auto found = std::find(lines.begin(), lines.end(), text);
  INFO(text);
  CHECK(found != lines.end());
  return found - lines.begin();
}

}  // namespace

TEST_CASE("a traced sweep on CPUs leaves a trace of every rank, says that it decides nothing, and names no GPU time") {
  if (!programs_are_built()) VB_SKIP("valbench and valbench-rank are not built");
  const test::SmallSweep sweep;
  const CapturedRun outcome = sweep.run("out", {"--profile"});
  INFO(outcome.output);
  REQUIRE(outcome.exit.ok());
  CHECK_THAT(outcome.output, Catch::Contains("no verdict comes from them"));
  CHECK_THAT(outcome.output, Catch::Contains("GPU time: not measured (CPU run)"));
  CHECK_FALSE(fs::exists(sweep.folder("out") / "summary.csv"));
  CHECK_THAT(read_file(sweep.folder("out") / "phases.csv"), Catch::Contains("not measured (CPU run)"));
  const auto runs = read_runs(sweep.folder("out"));
  REQUIRE(runs.size() == 2);
  for (const RunRecord& run : runs) {
    REQUIRE(run.gpu_traces.size() == 2);
    CHECK(run.gpu_traces[1].rank == 1);
    CHECK(run.gpu_traces[1].reason == "not measured (CPU run)");
    CHECK(run.gpu_phases.empty());
    for (const int rank : {0, 1}) {
      const fs::path file = sweep.folder("out") / run.spec.run_id / ("rank-" + std::to_string(rank) + ".trace.json");
      const json trace = json::parse(read_file(file));
      CHECK(trace["distributedInfo"]["rank"] == rank);
      const std::vector<json> phases = phases_in(trace);
      const auto count = [&](const char* name) {
        return std::count_if(phases.begin(), phases.end(), [&](const json& e) { return e["name"] == name; });
      };
      CHECK(count("train.epoch") == 2);
      CHECK(count("train.step") == 4);
      CHECK(count("val.epoch") == (rank == 0 || run.spec.validation.name == "sharded" ? 2 : 0));
      CHECK(first_overlap(phases) == "");
    }
  }
}

TEST_CASE("every run shows its phases to NVTX tools, with the window around the epochs after the first") {
  const fs::path tool = test::built("tests/gpu/libnvtx_log.so");
  if (!programs_are_built() || tool.empty()) VB_SKIP("valbench, valbench-rank and libnvtx_log.so are not built");
  const test::SmallSweep sweep;
  const fs::path log = sweep.folder("nvtx.log");
  const CapturedRun outcome = sweep.run("out", {}, {"NVTX_INJECTION64_PATH=" + tool.string(), "VALBENCH_NVTX_LOG=" + log.string()});
  INFO(outcome.output);
  REQUIRE(outcome.exit.ok());
  int ranks = 0;
  for (const auto& entry : fs::directory_iterator(log.parent_path())) {
    if (!entry.path().filename().string().starts_with("nvtx.log.")) continue;
    ++ranks;
    const std::vector<std::string> lines = lines_of(entry.path());
    const auto first_epoch = line_of(lines, "end train.epoch 0"), window = line_of(lines, "start bench.window 0"),
               second_epoch = line_of(lines, "start train.epoch 1"), closed = line_of(lines, "end bench.window 0");
    CHECK(first_epoch < window);
    CHECK(window < second_epoch);
    CHECK(line_of(lines, "push train.forward 1") < line_of(lines, "push train.backward 1"));
    CHECK(line_of(lines, "end train.epoch 1") < closed);
    const auto starting_with = [&](const char* word) {
      return std::count_if(lines.begin(), lines.end(), [&](const auto& line) { return line.starts_with(word); });
    };
    CHECK(starting_with("push") == starting_with("pop"));
    CHECK(starting_with("start") == starting_with("end"));
  }
  CHECK(ranks == 4);
}

TEST_CASE("doctor says what works here, and why the rest does not") {
  if (!programs_are_built()) VB_SKIP("valbench and valbench-rank are not built");
  const CapturedRun outcome = run_captured({test::built("src/main/valbench").string(), "doctor"}, 60);
  INFO(outcome.output);
  CHECK(outcome.exit.ok());
  for (const char* text : {"LibTorch ", "CUDA runtime ", "NCCL ", "train on CPUs       yes", "trace GPUs (CUPTI)"}) {
    CHECK_THAT(outcome.output, Catch::Contains(text));
  }
}
