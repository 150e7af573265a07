// One behaviour suite for every validation strategy, on 1 to 4 real ranks. The tiny set has the traps in it: 13 validation images in
// batches of 2 (7 batches, no multiple of 2, 3 or 4), a subset of 3 images (2 batches, so that ranks 2 and 3 have none), images without
// labels, one of another shape, and 3 epochs for an interval of 2.
#include <algorithm>
#include <map>
#include <opencv2/core.hpp>

#include "data/image_file.h"
#include "tests/process/sweep_sandbox.h"
#include "tests/support/catch.h"

using namespace valbench;
using namespace valbench::test;
namespace fs = std::filesystem;

namespace {

constexpr int kEpochs = 3;

/// Placement none, and each scoring placement with each schedule, under the names `PLACEMENT SCHEDULE`.
const std::vector<std::string> kPlacements = {"rank0", "sharded"};
const std::vector<std::pair<std::string, std::string>> kSchedules = {
    {"all", "batch_size: 2"}, {"some", "batch_size: 2, interval: 2, subset: 3, subset_seed: 1"}, {"square", "batch_size: 5, shape: square"}};

std::string scenario_for(int ranks) {
  std::string text = "name: strategies\ndata: set/data.yaml\nimgsz: 64\nepochs: " + std::to_string(kEpochs) +
                     "\nbatch_size: " + std::to_string(2 * ranks) + "\nranks: " + std::to_string(ranks) +
                     "\ndevice: cpu\nthreads: 1\nrounds: 1\nbaseline: rank0 all\nstrategies:\n  - {name: none, placement: none}\n";
  for (const auto& placement : kPlacements) {
    for (const auto& [name, keys] : kSchedules)
      text += "  - {name: " + placement + " " + name + ", placement: " + placement + ", " + keys + "}\n";
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

void check_validations(const RunRecord& sharded, const RunRecord& rank0, bool some) {
  std::vector<int> epochs;
  REQUIRE(sharded.validations.size() == rank0.validations.size());
  for (std::size_t i = 0; i < sharded.validations.size(); ++i) {
    const ValidationRecord& validation = sharded.validations[i];
    epochs.push_back(validation.epoch);
    CHECK(result_of(validation) == result_of(rank0.validations[i]));
    CHECK(validation.images == (some ? 3 : 13));
    CHECK_FALSE(validation.weights_checksum.empty());
  }
  CHECK(epochs == (some ? std::vector<int>{1, 2} : std::vector<int>{0, 1, 2}));
  for (const RunRecord* record : {&sharded, &rank0}) {
    CHECK(record->exactness.exact == (some ? "not_claimed" : "true"));
    CHECK(record->exactness.first_difference.empty());
    CHECK(record->exactness.map50_95_delta.value.has_value());
  }
}

}  // namespace

TEST_CASE("every strategy trains the same weights, and sharded scores what rank0 scores, bit for bit, on 1 to 4 ranks") {
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
    const RunRecord rank0 = sandbox.record("r00-rank0-" + schedule), sharded = sandbox.record("r00-sharded-" + schedule);
    check_training(rank0, baseline, ranks);
    check_training(sharded, baseline, ranks);
    check_validations(sharded, rank0, schedule == "some");
  }
  CHECK(baseline.validations[0].labels > 0);
  CHECK(baseline.validations[0].detections > 0);
}

TEST_CASE("batches balanced by pixels score what rank0 scores; images padded to equal shares count some twice and claim nothing") {
  const SweepSandbox sandbox(
      "name: shards\ndata: set/data.yaml\nimgsz: 64\nepochs: 2\nbatch_size: 6\nranks: 3\ndevice: cpu\nthreads: 1\nrounds: 1\n"
      "validation: {batch_size: 2, dense_last: 1, interval: 2}\nstrategies:\n  - {name: rank0}\n"
      "  - {name: balanced, placement: sharded, shard: batches_balanced, score_threads: 2, loader: per_validation, cache: none}\n"
      "  - {name: padded, placement: sharded, shard: images_padded}\n");
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
  CHECK_THAT(padded.exactness.first_difference, Catch::Equals("images: 15 != 13"));
}
