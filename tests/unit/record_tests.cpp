#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "record/run_store.h"
#include "tests/support/catch.h"
#include "tests/unit/sweep_records.h"

using namespace valbench;
namespace fs = std::filesystem;

namespace {

fs::path fresh_folder(const std::string& name) {
  const fs::path folder = fs::temp_directory_path() / ("valbench-" + name + "-" + std::to_string(::getpid()));
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("a run record read back is the record written, to the last bit") {
  RunRecord record = test::made_up_run({.name = "rank0"}, 3, 1.0 / 3);
  record.epochs[0].comm_wait_s = Measured::not_measured("one rank");
  record.validations[0].map50 = 0.1 + 0.2;
  const std::string text = run_record_to_json(record);
  const RunRecord again = run_record_from_json(text);
  CHECK(again.job_s == record.job_s);
  CHECK(again.validations[0].map50 == record.validations[0].map50);
  CHECK_FALSE(again.epochs[0].comm_wait_s.value);
  CHECK(again.epochs[0].comm_wait_s.reason == "one rank");
  CHECK(run_record_to_json(again) == text);
}

TEST_CASE("numbers that are not finite survive the record") {
  RunRecord record = test::made_up_run({.name = "rank0"}, 0, 1);
  record.epochs[0].loss_box = record.validations[0].loss[1] = std::numeric_limits<double>::quiet_NaN();
  record.exactness.map50_delta = Measured::of(std::numeric_limits<double>::quiet_NaN());
  const RunRecord again = run_record_from_json(run_record_to_json(record));
  CHECK(std::isnan(again.epochs[0].loss_box));
  CHECK(std::isnan(again.validations[0].loss[1]));
  CHECK_FALSE(again.exactness.map50_delta.value);
}

TEST_CASE("a broken run record is refused with the file and the field") {
  const fs::path folder = fresh_folder("record");
  const std::string good = run_record_to_json(test::made_up_run({.name = "rank0"}, 0, 1));
  const auto message_of = [&](const std::string& text) {
    write_atomically(folder / "run.json", text);
    try {
      read_run_record(folder / "run.json");
    } catch (const RecordError& error) {
      return std::string(error.what());
    }
    return std::string("read without an error");
  };
  CHECK_THAT(message_of(replaced(good, "\"job_s\"", "\"jobs\"")),
             Catch::Contains("run.json: ") && Catch::Contains("job_s is missing"));
  CHECK_THAT(message_of(replaced(good, "\"epochs\": [", "\"epochs\": 3, \"x\": [")), Catch::Contains("epochs"));
  CHECK_THAT(message_of(replaced(good, "\"schema_version\": 2", "\"schema_version\": 99")),
             Catch::Contains("made by a newer valbench: schema_version is 99"));
  CHECK_THAT(message_of(replaced(good, "\"schema_version\": 2", "\"schema_version\": 1")),
             Catch::Contains("made by an older valbench: schema_version is 1, this one reads 2. Run it again"));
  CHECK_THAT(message_of(replaced(good, "\"schema_version\": 2", "\"version\": 2")), Catch::Contains("schema_version is missing"));
  CHECK_THAT(message_of("[1]"), Catch::Contains("not a JSON object"));
  CHECK_THAT(message_of("{"), Catch::Contains("not JSON"));
  fs::remove_all(folder);
}

TEST_CASE("bytes of the user's files that are no text cost no record") {
  RunRecord run = test::made_up_run({.name = "a"}, 0, 1);
  run.warnings = {"label.txt:1: \"caf\xe9\" is not a number", "caf\xc3\xa9"};
  const RunRecord back = run_record_from_json(run_record_to_json(run));
  CHECK(back.warnings[0] == "label.txt:1: \"caf\xef\xbf\xbd\" is not a number");
  CHECK(back.warnings[1] == run.warnings[1]);
}

TEST_CASE("the run store tells complete, failed and missing runs apart") {
  const fs::path folder = fresh_folder("store");
  for (const char* name : {"r00-a", "r00-b", "r01-a", "not-a-run"}) fs::create_directories(folder / name);
  RunRecord run = test::made_up_run({.name = "a"}, 1, 1);
  write_run_record(run, folder / "r00-a" / kRunFile);
  run.spec.round = 0;
  run.status = "failed";
  write_run_record(run, folder / "r00-b" / kFailedFile);
  write_atomically(folder / "r01-a" / kSpecFile, "{}");
  const auto runs = list_runs(folder);
  REQUIRE(runs.size() == 3);
  CHECK(runs[0].state == RunState::complete);
  CHECK(runs[1].state == RunState::failed);
  CHECK(runs[2].state == RunState::missing);
  const auto records = read_runs(folder);
  REQUIRE(records.size() == 2);
  CHECK(records[0].status == "failed");
  CHECK(list_runs(folder / "r00-a").size() == 1);
  CHECK_THROWS_AS(list_runs(folder / "nowhere"), RecordError);
  fs::remove_all(folder);
}
