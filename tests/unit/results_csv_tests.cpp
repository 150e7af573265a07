// results.csv: the bytes of YOLOv5's own file.
#include "record/results_csv.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>

#include "base/file.h"
#include "tests/support/catch.h"
#include "tests/support/golden_json.h"
#include "tests/support/scratch_folder.h"

using namespace valbench;
using namespace valbench::test;
namespace fs = std::filesystem;

namespace {

const std::string kHeader =
    "               epoch,      train/box_loss,      train/obj_loss,      train/cls_loss,   metrics/precision,"
    "      metrics/recall,     metrics/mAP_0.5,metrics/mAP_0.5:0.95,        val/box_loss,        val/obj_loss,"
    "        val/cls_loss,               x/lr0,               x/lr1,               x/lr2\n";

EpochRecord epoch_of(int epoch) { return {.epoch = epoch, .loss_box = 0.10311, .loss_obj = 0.175481, .loss_cls = 1e-7}; }

}  // namespace

TEST_CASE("a line of results.csv has 14 right-aligned cells of 20 columns with 5 digits, the epoch from 0") {
  CHECK(results_csv_header() == kHeader);
  const ResultsRow row{.epoch = 0,
                       .train_loss = {0.10311, 0.175481, 0.0370749},
                       .precision = 0.012235,
                       .recall = 0.33023,
                       .map50 = 0.014689,
                       .map50_95 = 0.00557641,
                       .val_loss = {0, 1e-7, 12345678},
                       .lr = {0.0892, 0.0012, 1}};
  CHECK(results_csv_line(row) ==
        "                   0,             0.10311,             0.17548,            0.037075,            0.012235,"
        "             0.33023,            0.014689,           0.0055764,                   0,               1e-07,"
        "          1.2346e+07,              0.0892,              0.0012,                   1\n");
}

TEST_CASE("the files that YOLOv5 v7.0 wrote are made again byte for byte from their numbers") {
  const fs::path folder = golden_folder() / "gpu_training";
  if (!fs::is_directory(folder)) VB_SKIP("no golden/gpu_training");
  int files = 0, lines = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::ifstream in(entry.path());
    std::string line;
    std::getline(in, line);
    CHECK(line + "\n" == results_csv_header());
    for (++files; std::getline(in, line); ++lines) {
      std::replace(line.begin(), line.end(), ',', ' ');
      std::istringstream cells(line);
      ResultsRow r;
      cells >> r.epoch >> r.train_loss[0] >> r.train_loss[1] >> r.train_loss[2] >> r.precision >> r.recall >> r.map50 >>
          r.map50_95 >> r.val_loss[0] >> r.val_loss[1] >> r.val_loss[2] >> r.lr[0] >> r.lr[1] >> r.lr[2];
      REQUIRE(cells);
      std::string ours = results_csv_line(r);
      std::replace(ours.begin(), ours.end(), ',', ' ');
      CHECK(ours == line + "\n");
    }
  }
  std::printf("results.csv: %d lines of %d files equal\n", lines, files);
  CHECK(lines > 0);
}

TEST_CASE("results.csv is whole after every epoch, and an epoch without validation repeats the numbers before it") {
  const ScratchFolder folder;
  const fs::path file = folder.path() / "results.csv";
  ResultsCsv csv(file, 0);
  csv.add(epoch_of(0), nullptr, {0.1, 0.2, 0.3});
  CHECK(read_file(file) == kHeader + results_csv_line({.epoch = 0, .train_loss = {0.10311, 0.175481, 1e-7}, .lr = {0.1, 0.2, 0.3}}));
  const ValidationRecord validation{.epoch = 1, .precision = 0.5, .map50 = 0.25, .loss = {1, 2, 3}};
  csv.add(epoch_of(1), &validation, {});
  csv.add(epoch_of(2), nullptr, {});
  ResultsRow expected{.epoch = 2, .train_loss = {0.10311, 0.175481, 1e-7}, .precision = 0.5, .map50 = 0.25, .val_loss = {1, 2, 3}};
  CHECK_THAT(read_file(file), Catch::EndsWith("\n" + results_csv_line(expected)));
}

TEST_CASE("an epoch whose result is pending shows nan until it comes, whatever epochs come first, and later rows repeat it") {
  const ScratchFolder folder;
  const fs::path file = folder.path() / "results.csv";
  const auto row = [](int epoch, double metric) {
    return results_csv_line({.epoch = epoch, .train_loss = {0.10311, 0.175481, 1e-7}, .precision = metric, .recall = metric, .map50 = metric,
                             .map50_95 = metric, .val_loss = {metric, metric, metric}});
  };
  const auto validation = [](int epoch, double metric) {
    return ValidationRecord{.epoch = epoch, .precision = metric, .recall = metric, .map50 = metric, .map50_95 = metric,
                            .loss = {metric, metric, metric}};
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  ResultsCsv csv(file, 0);
  csv.add(epoch_of(0), nullptr, {}, /*pending=*/true);
  csv.add(epoch_of(1), nullptr, {}, /*pending=*/true);
  csv.add(epoch_of(2), nullptr, {});
  CHECK(read_file(file) == kHeader + row(0, nan) + row(1, nan) + row(2, 0));
  csv.complete(validation(1, 0.5));
  CHECK(read_file(file) == kHeader + row(0, nan) + row(1, 0.5) + row(2, 0.5));
  csv.complete(validation(0, 0.25));
  CHECK(read_file(file) == kHeader + row(0, 0.25) + row(1, 0.5) + row(2, 0.5));
}

TEST_CASE("a continued training keeps the lines before its first epoch, and the header stands once") {
  const ScratchFolder folder;
  const fs::path file = folder.path() / "results.csv";
  const std::string before = results_csv_line({.epoch = 0}) + results_csv_line({.epoch = 1});
  folder.write("results.csv", kHeader + before + results_csv_line({.epoch = 2}));
  ResultsCsv(file, 2).add({.epoch = 2, .loss_box = 7}, nullptr, {});
  CHECK(read_file(file) == kHeader + before + results_csv_line({.epoch = 2, .train_loss = {7, 0, 0}}));
}

TEST_CASE("an epoch without validation after a resume repeats the row before it; columns of other programs go") {
  const ScratchFolder folder;
  const ResultsRow first{.epoch = 0, .precision = 1.0 / 3, .recall = 2e-7, .map50 = 0.123456, .map50_95 = 0.05, .val_loss = {1, 0.0078125, 3}};
  std::string theirs = results_csv_line(first);
  theirs.insert(theirs.size() - 1, ",             0.00083,               0.001");
  const fs::path file = folder.write("results.csv", kHeader + theirs);
  ResultsCsv(file, 1).add({.epoch = 1}, nullptr, {});
  ResultsRow second = first;
  second.epoch = 1;
  CHECK(read_file(file) == kHeader + results_csv_line(first) + results_csv_line(second));
}
