#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "report/console_report.h"
#include "report/csv_report.h"
#include "tests/support/catch.h"
#include "tests/unit/sweep_records.h"

using namespace valbench;
namespace fs = std::filesystem;

namespace {

fs::path source_file(const char* name) {
  const char* root = std::getenv("VALBENCH_SOURCE");
  return fs::path(root != nullptr ? root : ".") / name;
}

SweepComparison example() { return compare_sweep(test::example_sweep(), "rank0", 0.01); }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("the console report of the example sweep is the golden text") {
  CHECK(console_report(example(), false) == read_file(source_file("tests/unit/example_console.txt")));
}

TEST_CASE("the CSV files of the example sweep are the golden text") {
  CHECK(summary_csv(example()) == read_file(source_file("tests/unit/example_summary.csv")));
  const auto runs = runs_csv({test::example_sweep().front()});
  CHECK(runs == read_file(source_file("tests/unit/example_runs.csv")));
  const auto phases = lines_of(phases_csv(test::example_sweep()));
  CHECK(phases[0] == "schema_version,scenario,run_id,strategy,round,rank,epoch,phase,phase_s,count,traced,kernel_s,comm_s,memcpy_s,"
                     "phase_s_reason,kernel_s_reason,comm_s_reason,memcpy_s_reason");
  const std::string untraced = ",false,,,,,not measured (untraced run),not measured (untraced run),not measured (untraced run)";
  CHECK(phases[1] == "1,quickstart,r00-rank0,rank0,0,0,0,sync.wait,0,1" + untraced);
  CHECK(phases[2] == "1,quickstart,r00-rank0,rank0,0,0,0,train.forward,2,8" + untraced);
  CHECK(phases.size() == 1 + 36 * 3 * 2 * 2);
}

TEST_CASE("no line of the console report is wider than 120 columns, and colours come only when asked for") {
  auto runs = test::made_up_sweep({{.name = "rank0"}, {.name = std::string(80, 'x'), .val_s = 4}}, 6);
  runs[1].invalid_reasons = {std::string(100, 'y')};
  const auto sweep = compare_sweep(runs, "rank0", 0.01);
  for (const std::string& line : lines_of(console_report(sweep, false))) CHECK(line.size() <= 120);
  CHECK(console_report(sweep, false).find('\033') == std::string::npos);
  CHECK(console_report(sweep, true).find('\033') != std::string::npos);
}

TEST_CASE("an A/A pair that was told apart warns the reader") {
  std::vector<RunRecord> runs;
  for (int round = 0; round < 6; ++round) {
    runs.push_back(test::made_up_run({.name = "a"}, round, 1));
    runs.push_back(test::made_up_run({.name = "b"}, round, 1.1));
  }
  CHECK_THAT(console_report(compare_sweep(runs, "a", 0.01), false), Catch::Contains("told apart"));
}

TEST_CASE("a faster strategy with other numbers than the baseline's is not the one that keeps all, exact or not") {
  const auto runs = test::made_up_sweep(
      {{.name = "rank0"}, {.name = "square", .val_s = 3, .map50_95_delta = 0.004}, {.name = "kept", .val_s = 4}}, 6);
  const std::string said = report_sentences(compare_sweep(runs, "rank0", 0.01)).at(1);
  CHECK_THAT(said, Catch::StartsWith("Fastest: square, ") && Catch::Contains("less time); its mAP50-95 is off by +0.0040. Fastest with the same "
                                                                             "validation work and metrics bit for bit: kept, "));
}

TEST_CASE("what is said of many strategies is said once") {
  const auto runs = test::made_up_sweep(
      {{.name = "rank0"}, {.name = "a", .map50_95_delta = 0.004}, {.name = "b", .map50_95_delta = 1e-6}, {.name = "c"}}, 1);
  std::string said;
  for (const std::string& sentence : report_sentences(compare_sweep(runs, "rank0", 0.01))) said += sentence + "\n";
  CHECK_THAT(said, Catch::Contains("Not decided: a, b and c (one round). More rounds") &&
                       Catch::Contains("mAP50-95 is off by +0.0040 (a), and by less than 0.00005 (1 strategy).\n"));
}

TEST_CASE("the standard error of a subset stands below the table and in both files; whole sets have none, with the reason") {
  const auto runs = test::made_up_sweep({{.name = "rank0"}, {.name = "quarter", .exact = "not_claimed", .subset_se = 0.0125}}, 2);
  const auto sweep = compare_sweep(runs, "rank0", 0.01);
  const std::vector<std::string> sentences = report_sentences(sweep);
  const auto said = std::count_if(sentences.begin(), sentences.end(), [](const std::string& sentence) {
    return sentence.find("resampling them: quarter 0.0125 (bias +0.0063). An mAP error") != std::string::npos;
  });
  CHECK(said == 1);
  for (const std::string& csv : {summary_csv(sweep), runs_csv(runs)}) {
    CHECK_THAT(csv, Catch::Contains(",0.0125,0.00625,") && Catch::Contains("not measured (every image is scored)"));
  }
  CHECK_THAT(console_report(example(), false), !Catch::Contains("resampling"));
}

TEST_CASE("a cell with commas and quotes is quoted") {
  auto runs = test::made_up_sweep({{.name = "rank0"}, {.name = "a, \"b\""}}, 2);
  CHECK_THAT(summary_csv(compare_sweep(runs, "rank0", 0.01)), Catch::Contains("\n1,\"a, \"\"b\"\"\",2,"));
}

TEST_CASE("a run that failed has no measures in runs.csv") {
  RunRecord run = test::made_up_run({.name = "rank0"}, 0, 1);
  run.status = "failed";
  run.failure = "rank 1 exited with code 9";
  const std::string csv = runs_csv({run});
  CHECK_THAT(csv, Catch::Contains("rank 1 exited with code 9") && Catch::Contains("the run did not complete"));
}

TEST_CASE("runs with more ranks than cores show no times, in the table and in the CSV files") {
  auto runs = test::made_up_sweep({{.name = "rank0"}, {.name = "sharded", .placement = Placement::sharded, .val_s = 3.5}}, 6);
  for (RunRecord& run : runs) {
    run.spec.ranks = 4, run.spec.oversubscribed = true, run.machine.cores = 2;
    run.timing_comparable = false, run.timing_note = "4 ranks x 1 threads on 2 cores";
  }
  const auto sweep = compare_sweep(runs, "rank0", 0.01);
  const std::string reason = "not measured (4 ranks on 2 cores)";
  const std::string table = console_report(sweep, false);
  CHECK_THAT(table, Catch::Contains("INVALID") && Catch::Contains("4 ranks x 1 threads on"));
  CHECK_THAT(table, Catch::Contains("Not measured: job time, epoch time, validation time, idle time, communication wait (4 ranks on 2 cores)."));
  for (const std::string& line : lines_of(table)) {
    if (line.starts_with("rank0 ") || line.starts_with("sharded ")) CHECK_THAT(line, Catch::Contains(" 6    -      -        -      -       -  0.410  0.230 "));
  }
  for (const StrategySummary& s : sweep.strategies) {
    for (const Measured& time : {s.mean.job_s, s.mean.epoch_s, s.mean.train_s, s.mean.val_s, s.mean.val_share, s.mean.val_share_max,
                                 s.mean.idle_gpu_s, s.mean.comm_wait_s, s.job_s_median, s.job_s_mad, s.speedup, s.speedup_low}) {
      CHECK_FALSE(time.value);
      CHECK(time.reason == reason);
    }
    CHECK(s.mean.map50_95.value);
    CHECK(s.verdict == Verdict::invalid);
    CHECK(s.outlier_runs.empty());
  }
  // job_s, epoch_s, train_s, val_s and what else is time.
  for (const std::string& csv : {summary_csv(sweep), runs_csv(runs), phases_csv(runs)}) {
    const auto lines = lines_of(csv);
    for (std::size_t i = 1; i < lines.size(); ++i) CHECK_THAT(lines[i], Catch::Contains(reason));
  }
  CHECK_THAT(lines_of(summary_csv(sweep))[2], Catch::StartsWith("1,sharded,6,,,,,,,,"));
  CHECK_THAT(lines_of(phases_csv(runs))[1], Catch::StartsWith("1,quickstart,r00-rank0,rank0,0,0,0,sync.wait,,1,"));
  // Threads alone leave the times, without a verdict.
  for (RunRecord& run : runs) run.spec.ranks = 2;
  CHECK(compare_sweep(runs, "rank0", 0.01).strategies[1].mean.job_s.value);
}

TEST_CASE("the three files are written and replaced") {
  const fs::path folder = fs::temp_directory_path() / ("valbench-csv-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const auto runs = test::example_sweep();
  write_csv_reports(example(), runs, folder);
  write_csv_reports(example(), runs, folder);
  CHECK(read_file(folder / "summary.csv") == summary_csv(example()));
  CHECK(fs::exists(folder / "runs.csv"));
  CHECK(fs::exists(folder / "phases.csv"));
  fs::remove_all(folder);
}

TEST_CASE("results/README.md names every column and every field of run.json") {
  const std::string readme = read_file(source_file("results/README.md"));
  const auto require_named = [&](const std::string& name) {
    INFO(name);
    CHECK(readme.find("`" + name + "`") != std::string::npos);
  };
  for (const auto& columns : {summary_columns(), runs_columns(), phases_columns()}) {
    for (const std::string& column : columns) {
      if (!column.ends_with("_reason") || column == "verdict_reason" || column == "invalid_reason")
        require_named(column);
    }
  }
  // The record's fields are the quoted words before a colon in its JSON, the spec's left out.
  const RunRecord run = test::made_up_traced_run({.name = "rank0"}, 0);
  const std::string json = run_record_to_json(run);
  const std::string spec_less = json.substr(0, json.find("\"spec\"")) + json.substr(json.find("\"machine\""));
  for (const std::string& line : lines_of(spec_less)) {
    const std::size_t begin = line.find('"'), end = line.find("\":");
    if (begin == std::string::npos || end == std::string::npos) continue;
    const std::string name = line.substr(begin + 1, end - begin - 1);
    if (name.find('.') == std::string::npos && name != "not_measured") require_named(name);
  }
}

TEST_CASE("summary.csv begins with the columns of the design, in their order") {
  const std::vector<std::string> expected = {
      "schema_version", "strategy",        "runs",         "job_s",       "epoch_s",        "train_s",
      "val_s",          "val_share",       "idle_gpu_s",   "comm_wait_s", "balance_gain",   "steps",
      "val_images",     "peak_memory_mib", "map50",        "map50_95",    "map50_95_delta", "exact",
      "speedup",        "speedup_low",     "speedup_high", "verdict"};
  const auto columns = summary_columns();
  CHECK(std::vector<std::string>(columns.begin(), columns.begin() + static_cast<std::ptrdiff_t>(expected.size())) ==
        expected);
}
