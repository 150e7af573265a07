// One behaviour suite for every validation strategy, on 1 to 4 real ranks. The tiny set has the traps in it: 13 validation images in
// batches of 2 (7 batches, no multiple of 2, 3 or 4), a subset of 3 images (2 batches, so that ranks 2 and 3 have none), images without
// labels, one of another shape, and 3 epochs for an interval of 2.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <opencv2/core.hpp>
#include <ostream>

#include "base/file.h"
#include "data/image_file.h"
#include "tests/process/sweep_sandbox.h"
#include "tests/support/catch.h"
#include "tests/support/programs.h"

using namespace valbench;
using namespace valbench::test;
namespace fs = std::filesystem;

namespace {

constexpr int kEpochs = 3;

/// Placement none, and each scoring placement with each schedule, under the names `PLACEMENT SCHEDULE`.
const std::vector<std::pair<std::string, std::string>> kPlacements = {{"rank0", "rank0"},
                                                                      {"sharded", "sharded"},
                                                                      {"overlapped", "overlapped"},
                                                                      {"overlapped-sharded", "overlapped, overlap: sharded"},
                                                                      {"deferred", "deferred"}};
const std::vector<std::pair<std::string, std::string>> kSchedules = {
    {"all", "batch_size: 2"}, {"some", "batch_size: 2, interval: 2, subset: 3, subset_seed: 1"}, {"square", "batch_size: 5, shape: square"}};

std::string scenario_for(int ranks) {
  std::string text = "name: strategies\ndata: set/data.yaml\nimgsz: 64\nepochs: " + std::to_string(kEpochs) +
                     "\nbatch_size: " + std::to_string(2 * ranks) + "\nranks: " + std::to_string(ranks) +
                     "\ndevice: cpu\nthreads: 1\nrounds: 1\nbaseline: rank0 all\nstrategies:\n  - {name: none, placement: none}\n";
  for (const auto& [title, placement] : kPlacements) {
    for (const auto& [name, keys] : kSchedules)
      text += "  - {name: " + title + " " + name + ", placement: " + placement + ", " + keys + "}\n";
  }
  return text;
}

/// 9 training and 13 validation images; two of the latter lose their labels and one gets another shape.
void make_images(const SweepSandbox& sandbox) {
  const fs::path data = sandbox.make_data("set");
  write_jpeg(data / "images/train/extra.jpg", cv::Mat(64, 48, CV_8UC3, cv::Scalar(90, 120, 30)), 90);
  write_jpeg(data / "images/val/extra.jpg", cv::Mat(40, 64, CV_8UC3, cv::Scalar(10, 200, 60)), 90);
  std::vector<fs::path> labels;
  for (const auto& entry : fs::directory_iterator(data / "labels/val")) labels.push_back(entry.path());
  std::sort(labels.begin(), labels.end());
  fs::remove(labels.at(3));
  fs::resize_file(labels.at(7), 0);
}

/// What must be equal bit for bit; times are not.
std::string result_of(const ValidationRecord& validation) {
  RunRecord carrier;
  carrier.validations = {validation};
  ValidationRecord& copy = carrier.validations[0];
  copy.seconds = copy.submitted_s = copy.known_s = 0;
  copy.phase_s.clear();
  copy.late_epochs = 0;
  return run_record_to_json(carrier);
}

struct RankRows {
  std::int64_t train_images = 0;
  std::vector<int> epochs;
};

std::map<int, RankRows> rows_by_rank(const RunRecord& record) {
  std::map<int, RankRows> rows;
  for (const EpochRecord& epoch : record.epochs) {
    rows[epoch.rank].epochs.push_back(epoch.epoch);
    rows[epoch.rank].train_images += epoch.train_images;
  }
  return rows;
}

void check_training(const RunRecord& record, const RunRecord& baseline, int ranks) {
  CHECK(record.train_checksums.size() == kEpochs);
  CHECK(record.train_checksums == baseline.train_checksums);
  CHECK(record.invalid_reasons.empty());
  const auto rows = rows_by_rank(record);
  REQUIRE(rows.size() == static_cast<std::size_t>(ranks));
  for (const auto& [rank, of_rank] : rows) {
    CHECK(of_rank.epochs == std::vector<int>{0, 1, 2});
    CHECK(of_rank.train_images == rows.at(0).train_images);
  }
}

void check_validations(const RunRecord& record, const RunRecord& rank0, bool some) {
  std::vector<int> epochs;
  REQUIRE(record.validations.size() == rank0.validations.size());
  for (std::size_t i = 0; i < record.validations.size(); ++i) {
    const ValidationRecord& validation = record.validations[i];
    epochs.push_back(validation.epoch);
    CHECK(result_of(validation) == result_of(rank0.validations[i]));
    CHECK(validation.images == (some ? 3 : 13));
    CHECK_FALSE(validation.weights_checksum.empty());
  }
  CHECK(epochs == (some ? std::vector<int>{1, 2} : std::vector<int>{0, 1, 2}));
  CHECK(record.exactness.exact == (some ? "not_claimed" : "true"));
  CHECK(record.exactness.first_difference.empty());
  CHECK(record.exactness.map50_95_delta.value.has_value());
}

}  // namespace

TEST_CASE("every strategy trains the same weights, and all that validate score what rank0 scores, bit for bit, on 1 to 4 ranks") {
  const int ranks = GENERATE(1, 2, 3, 4);
  const SweepSandbox sandbox(scenario_for(ranks));
  make_images(sandbox);
  const Outcome outcome = sandbox.sweep();
  INFO("ranks: " << ranks << "\n" << outcome.output);
  REQUIRE(outcome.code == 0);

  const RunRecord baseline = sandbox.record("r00-rank0-all"), none = sandbox.record("r00-none");
  check_training(none, baseline, ranks);
  CHECK(none.validations.empty());
  CHECK(none.exactness.exact == "not_claimed");
  for (const auto& [schedule, keys] : kSchedules) {
    INFO(schedule);
    const RunRecord rank0 = sandbox.record("r00-rank0-" + schedule);
    for (const auto& [placement, value] : kPlacements) {
      INFO(placement);
      const RunRecord record = sandbox.record("r00-" + placement + "-" + schedule);
      check_training(record, baseline, ranks);
      check_validations(record, rank0, schedule == "some");
    }
  }
  CHECK(baseline.validations[0].labels > 0);
  CHECK(baseline.validations[0].detections > 0);
}

TEST_CASE("batches balanced by pixels score what rank0 scores; images padded to equal shares count some twice and claim nothing") {
  const SweepSandbox sandbox(
      "name: shards\ndata: set/data.yaml\nimgsz: 64\nepochs: 2\nbatch_size: 6\nranks: 3\ndevice: cpu\nthreads: 1\nrounds: 1\n"
      "validation: {batch_size: 2, dense_last: 1, interval: 2}\nstrategies:\n  - {name: rank0}\n"
      "  - {name: balanced, placement: sharded, shard: batches_balanced, score_threads: 2, loader: per_validation, cache: none}\n"
      "  - {name: padded, placement: sharded, shard: images_padded}\n"
      "  - {name: beside, placement: overlapped, overlap: sharded, shard: batches_balanced}\n"
      "  - {name: padded beside, placement: overlapped, overlap: sharded, shard: images_padded}\n");
  make_images(sandbox);
  const Outcome outcome = sandbox.sweep();
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  const RunRecord rank0 = sandbox.record("r00-rank0"), balanced = sandbox.record("r00-balanced"), padded = sandbox.record("r00-padded");
  CHECK(balanced.train_checksums == rank0.train_checksums);
  REQUIRE(balanced.validations.size() == 1);
  CHECK(result_of(balanced.validations[0]) == result_of(rank0.validations.at(0)));
  CHECK(balanced.exactness.exact == "true");
  CHECK(padded.train_checksums == rank0.train_checksums);
  CHECK(padded.validations.at(0).images == 15);
  CHECK(padded.exactness.exact == "not_claimed");
  CHECK_THAT(padded.exactness.first_difference, Catch::EndsWith("is not to be scored"));
  const RunRecord beside = sandbox.record("r00-beside"), padded_beside = sandbox.record("r00-padded-beside");
  CHECK(result_of(beside.validations.at(0)) == result_of(rank0.validations.at(0)));
  CHECK(beside.exactness.exact == "true");
  CHECK(result_of(padded_beside.validations.at(0)) == result_of(padded.validations.at(0)));
  CHECK(padded_beside.exactness.exact == "not_claimed");
}

namespace {

/// How many of how many ranks only validate; what the others train must be what as many ranks train without them.
struct Split {
  int ranks, dedicated;
};
std::ostream& operator<<(std::ostream& out, const Split& split) { return out << split.dedicated << " of " << split.ranks; }

/// With `few`, 2 images are one batch: of two validators the second has none.
const std::vector<std::pair<std::string, std::string>> kDedicatedSchedules = {
    {"all", "batch_size: 2"}, {"few", "batch_size: 2, interval: 2, subset: 2, subset_seed: 1"}, {"auto", "batch_size: auto"}};

std::string split_scenario(int ranks, int batch, const std::string& placement) {
  std::string text = "name: split\ndata: set/data.yaml\nimgsz: 64\nepochs: " + std::to_string(kEpochs) + "\nbatch_size: " +
                     std::to_string(batch) + "\nranks: " + std::to_string(ranks) +
                     "\ndevice: cpu\nthreads: 1\nrounds: 1\nverify: all\nbaseline: all\nstrategies:\n";
  for (const auto& [name, keys] : kDedicatedSchedules) text += "  - {name: " + name + ", " + placement + ", " + keys + "}\n";
  return text;
}

/// Every due epoch was either scored, with the very numbers of `reference`, or is said to be skipped; the last was scored.
void check_scored_or_skipped(const RunRecord& dedicated, const RunRecord& reference) {
  std::map<int, std::string> expected;
  for (const ValidationRecord& validation : reference.validations) expected[validation.epoch] = result_of(validation);
  std::vector<int> due, seen;
  for (const auto& [epoch, result] : expected) due.push_back(epoch);
  for (const ValidationRecord& validation : dedicated.validations) {
    CHECK(result_of(validation) == expected[validation.epoch]);
    seen.push_back(validation.epoch);
  }
  for (const SkippedValidation& skipped : dedicated.skipped_validations) {
    CHECK_THAT(skipped.reason, Catch::Contains("ranks that only validate"));
    seen.push_back(skipped.epoch);
  }
  std::sort(seen.begin(), seen.end());
  CHECK(seen == due);
  REQUIRE_FALSE(dedicated.validations.empty());
  CHECK(dedicated.validations.back().epoch == kEpochs - 1);
  CHECK(dedicated.exactness.first_difference.empty());
  std::vector<int> scored;
  for (const ValidationRecord& validation : dedicated.validations) scored.push_back(validation.epoch);
  CHECK(dedicated.exactness.checked_epochs == scored);  // By verify: all.
  const bool subset = dedicated.spec.validation.subset_count > 0;
  CHECK(dedicated.exactness.exact == (subset ? "not_claimed" : "true"));
}

void check_rows(const RunRecord& record, const Split& split) {
  const auto rows = rows_by_rank(record);
  REQUIRE(rows.size() == static_cast<std::size_t>(split.ranks));
  for (const auto& [rank, of_rank] : rows) {
    CHECK(of_rank.epochs == std::vector<int>{0, 1, 2});
    CHECK((of_rank.train_images > 0) == (rank < split.ranks - split.dedicated));
  }
  CHECK(record.invalid_reasons.empty());
}

}  // namespace

TEST_CASE("dedicated: W - k ranks train what as many ranks train under rank0, and k ranks score what rank 0 scores, bit for bit") {
  const Split split = GENERATE(Split{2, 1}, Split{3, 1}, Split{3, 2}, Split{4, 2});
  const int batch = 2 * split.ranks, trained = split.ranks - split.dedicated;
  const std::string validation_batch = ", batch_size: " + std::to_string(2 * batch / split.ranks);
  const std::string placement = "placement: dedicated, dedicated_ranks: " + std::to_string(split.dedicated);
  const SweepSandbox sandbox(split_scenario(split.ranks, batch, placement));
  make_images(sandbox);
  const Outcome outcome = sandbox.sweep();
  std::string alone_scenario = split_scenario(trained, batch, "placement: rank0");
  // Automatic batches of the validation are those of the baseline on all ranks, whoever trains.
  alone_scenario.replace(alone_scenario.find(", batch_size: auto"), 18, validation_batch);
  const SweepSandbox alone(alone_scenario);
  make_images(alone);
  const Outcome outcome_alone = alone.sweep();
  INFO("ranks that only validate: " << split << "\n" << outcome.output << outcome_alone.output);
  REQUIRE(outcome.code == 0);
  REQUIRE(outcome_alone.code == 0);
  for (const auto& [schedule, keys] : kDedicatedSchedules) {
    INFO(schedule);
    const RunRecord dedicated = sandbox.record("r00-" + schedule), reference = alone.record("r00-" + schedule);
    CHECK(dedicated.train_checksums.size() == kEpochs);
    CHECK(dedicated.train_checksums == reference.train_checksums);
    check_rows(dedicated, split);
    check_scored_or_skipped(dedicated, reference);
    CHECK(dedicated.validations.back().batch_size == reference.validations.back().batch_size);
  }
}

namespace {

/// 2 epochs on 3 ranks, batches of 2 validation images. Under dedicated two ranks train, which is another training.
std::string side_work_scenario(const std::vector<std::string>& strategies) {
  std::string text = "name: side\ndata: set/data.yaml\nimgsz: 64\nepochs: 2\nbatch_size: 6\nranks: 3\ndevice: cpu\nthreads: 1\nrounds: 1\n"
                     "verify: all\nvalidation: {batch_size: 2}\nstrategies:\n  - {name: rank0}\n";
  for (const std::string& strategy : strategies) text += "  - {name: " + strategy + "}\n";
  return text;
}

fs::path files_of(const SweepSandbox& sandbox, const std::string& run, int epoch) {
  return sandbox.out() / run / "validations" / ("epoch" + std::to_string(epoch));
}

void check_same_validations(const RunRecord& record, const RunRecord& reference) {
  CHECK(record.train_checksums == reference.train_checksums);
  CHECK(record.invalid_reasons.empty());
  CHECK(record.exactness.exact == "true");
  REQUIRE(record.validations.size() == reference.validations.size());
  for (std::size_t i = 0; i < record.validations.size(); ++i) CHECK(result_of(record.validations[i]) == result_of(reference.validations[i]));
}

/// Both axes of one validation: every detection is in the file, in the order of the batches, whoever found it.
void check_files(const fs::path& folder, const fs::path& reference, const ValidationRecord& validation) {
  INFO(folder);
  const std::string predictions = read_file(folder / "predictions.json");
  CHECK(occurrences(predictions, "\"image_id\"") == validation.detections);
  CHECK(predictions == read_file(reference / "predictions.json"));
  CHECK(read_file(folder / "confusion_matrix.csv") == read_file(reference / "confusion_matrix.csv"));
  CHECK(read_file(folder / "confusion_matrix.png") == read_file(reference / "confusion_matrix.png"));
  CHECK(fs::exists(folder / "PR_curve.png") == fs::exists(folder / "PR_curve.csv"));
}

}  // namespace

TEST_CASE("pictures and detections of every validation lie in the run's folder, equal under every placement, and change no number") {
  const std::string files = ", plots: true, save_json: true";
  const SweepSandbox sandbox(side_work_scenario({"drawn" + files, "sharded, placement: sharded" + files, "overlapped, placement: overlapped" + files,
                                                 "deferred, placement: deferred" + files, "dedicated, placement: dedicated, interval: 2" + files,
                                                 "json, placement: sharded, save_json: true, interval: 2"}));
  make_images(sandbox);
  const Outcome outcome = sandbox.sweep();
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  const RunRecord rank0 = sandbox.record("r00-rank0");
  CHECK_FALSE(fs::exists(sandbox.out() / "r00-rank0/validations"));
  for (const std::string name : {"drawn", "sharded", "overlapped", "deferred"}) {
    INFO(name);
    const RunRecord record = sandbox.record("r00-" + name);
    check_same_validations(record, rank0);
    for (const ValidationRecord& validation : record.validations) {
      check_files(files_of(sandbox, "r00-" + name, validation.epoch), files_of(sandbox, "r00-drawn", validation.epoch), validation);
      const EpochRecord& row = record.epochs.at(static_cast<std::size_t>(3 * validation.epoch));
      const auto& phases = validation.phase_s.empty() ? row.phase_s : validation.phase_s;
      CHECK(phases.contains("val.plots"));
      CHECK(phases.contains("val.json"));
    }
  }
  const RunRecord dedicated = sandbox.record("r00-dedicated");
  const fs::path folder = files_of(sandbox, "r00-dedicated", 1);
  check_files(folder, folder, dedicated.validations.at(0));
  CHECK(fs::exists(files_of(sandbox, "r00-json", 1) / "predictions.json"));
  CHECK_FALSE(fs::exists(files_of(sandbox, "r00-json", 1) / "confusion_matrix.csv"));
}

TEST_CASE("score background: what follows the network is done beside training, late or not, and is rank0's bit for bit") {
  const std::string background = ", score: background";
  const SweepSandbox sandbox(side_work_scenario({"beside" + background, "shared, placement: sharded, plots: true, save_json: true" + background,
                                                 "drawn, plots: true, save_json: true" + background, "reference, plots: true, save_json: true",
                                                 "both, placement: overlapped" + background}));
  make_images(sandbox);
  const Outcome outcome = sandbox.sweep({"--set", "patience=1"});
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  CHECK_THAT(unwrapped(outcome.output), Catch::Contains("score background takes the metrics out of the time that training waits"));
  CHECK_FALSE(fs::exists(sandbox.out() / "r00-both"));
  const RunRecord rank0 = sandbox.record("r00-rank0");
  for (const std::string name : {"beside", "shared", "drawn"}) {
    INFO(name);
    const RunRecord record = sandbox.record("r00-" + name);
    check_same_validations(record, rank0);
    for (const ValidationRecord& validation : record.validations) {
      CHECK(validation.phase_s.contains("val.metrics"));
      CHECK(validation.phase_s.contains("val.match") == (name != "shared"));
      CHECK_FALSE(validation.phase_s.contains("val.forward"));
      const EpochRecord& row = record.epochs.at(static_cast<std::size_t>(3 * validation.epoch));
      CHECK(row.phase_s.contains("val.nms"));
      CHECK_FALSE(row.phase_s.contains("val.metrics"));
      if (name == "beside") continue;
      check_files(files_of(sandbox, "r00-" + name, validation.epoch), files_of(sandbox, "r00-reference", validation.epoch), validation);
    }
  }
}

TEST_CASE("a rank that only validates and dies ends the run and is named") {
  const std::string source = std::getenv("VALBENCH_SOURCE");
  const SweepSandbox sandbox;
  const Outcome outcome = sandbox.sweep({"--set", "strategies=[{name: rank0}, {name: dedicated, placement: dedicated}]"},
                                        {"VALBENCH_RANK_PROGRAM=" + source + "/tests/process/dying_rank.sh",
                                         "REAL_RANK=" + built("src/main/valbench-rank").string(), "DYING_RUN=r00-dedicated"});
  INFO(outcome.output);
  CHECK(outcome.code == 4);
  CHECK_THAT(outcome.output, Catch::Contains("rank 1 of r00-dedicated was ended by signal 9"));
  CHECK_FALSE(fs::exists(sandbox.out() / "r00-dedicated/run.json"));
  CHECK(processes_of(sandbox.out()).empty());
}
