#include "report/traced_report.h"

#include <sstream>

#include "report/csv_report.h"
#include "tests/support/catch.h"
#include "tests/unit/sweep_records.h"

using namespace valbench;
using Catch::Contains;

TEST_CASE("the report of traced runs says where the GPU's time went, and that it decides nothing") {
  const std::string report =
      traced_report({test::made_up_traced_run({.name = "sharded"}, 0), test::made_up_traced_run({.name = "rank0"}, 0)}, "rank0");
  INFO(report);
  CHECK_THAT(report, Contains("no verdict comes from them"));
  CHECK_THAT(report, Contains("20.0 %     5.0 %   10.0 %   2.5 %  62.5 %    37.5 %"));
  CHECK_THAT(report, Contains("rank0: the GPU worked longest for train.forward (62 %), val.forward (38 %)."));
  CHECK(report.find("\nrank0 ") < report.find("\nsharded "));
  CHECK_THAT(report, Contains("rank-0.trace.json to rank-1.trace.json"));
  std::istringstream lines(report);
  for (std::string line; std::getline(lines, line);) CHECK(line.size() <= 120);
}

TEST_CASE("the report of traced runs names what was lost and what was not measured") {
  RunRecord lossy = test::made_up_traced_run({.name = "rank0"}, 0), cpu = test::made_up_run({.name = "cpu"}, 0, 1);
  lossy.gpu_traces[1].health = {"3 records were dropped"};
  lossy.gpu_traces[1].comm_wait_s = Measured::not_measured("not measured (ranks recorded different collectives)");
  cpu.spec.profile = true;
  cpu.gpu_traces = {{.reason = "not measured (CPU run)"}};
  const std::string report = traced_report({lossy, cpu}, "rank0");
  INFO(report);
  CHECK_THAT(report, Contains("Incomplete trace: r00-rank0, rank 1: 3 records were dropped."));
  CHECK_THAT(report, Contains("it counts as transfer"));
  CHECK_THAT(report, Contains("GPU time: not measured (CPU run)."));
}

TEST_CASE("without a traced run there is no such report") {
  CHECK(traced_report(test::example_sweep(), "rank0").empty());
  RunRecord failed = test::made_up_traced_run({.name = "rank0"}, 0);
  failed.status = "failed";
  CHECK(traced_report({failed}, "rank0").empty());
}

TEST_CASE("phases.csv has the GPU time of a traced window, and the reason where there is none") {
  RunRecord run = test::made_up_traced_run({.name = "rank0"}, 0);
  run.epochs.erase(run.epochs.begin() + 4, run.epochs.end());  // two epochs of two ranks
  const std::string csv = phases_csv({run});
  INFO(csv);
  CHECK_THAT(csv, Contains("rank0,0,0,0,train.forward,2,8,true,,,,,not measured (before the traced window)"));
  CHECK_THAT(csv, Contains("rank0,0,0,1,train.forward,2,8,true,0.5,0,0.125,,,,\n"));
  CHECK_THAT(csv, Contains("rank0,0,1,1,sync.wait,5,1,true,0,0,0,,,,\n"));
}

TEST_CASE("traced runs with more ranks than cores show the GPU's times and none of the host's") {
  RunRecord run = test::made_up_traced_run({.name = "rank0"}, 0);
  run.spec.ranks = 4, run.spec.oversubscribed = true, run.machine.cores = 2;
  const std::string text = traced_report({run}, "rank0");
  CHECK_THAT(text, Contains("Times of rank0: not measured (4 ranks on 2 cores)."));
  CHECK_THAT(text, Contains("\nrank0        1    -        -        -   20.0 %"));
}
