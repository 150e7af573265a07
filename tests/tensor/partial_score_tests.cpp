#include "validate/partial_score.h"

#include "base/error.h"
#include "tests/support/catch.h"
#include "validate/exactness.h"
#include "validate/native_boxes.h"
#include "validate/time_share.h"
#include "validate/validation_schedule.h"

using namespace valbench;

namespace {

PartialScore score_of(std::int64_t image, std::int64_t batch) {
  PartialScore score;
  score.matches.images = {{image, 2, 1}};
  score.matches.detections = {{0.9F, 1, 0x3ff}, {0.25F, 0, 0}};
  score.matches.label_classes = {1};
  score.losses = {{batch, {0.1F, 0.2F, static_cast<float>(batch)}}};
  score.pixels = 100;
  return score;
}

}  // namespace

TEST_CASE("a packed score unpacks to the same bytes") {
  const PartialScore score = score_of(7, 3);
  const auto bytes = pack_score(score);
  CHECK(pack_score(unpack_score(bytes)) == bytes);
  CHECK_THROWS_AS(unpack_score(std::span(bytes).first(bytes.size() - 1)), Error);
}

TEST_CASE("merging the parts of ranks does not depend on who scored what") {
  const PartialScore forward[] = {score_of(0, 0), score_of(1, 1), score_of(2, 2)};
  const PartialScore backward[] = {score_of(2, 2), score_of(0, 0), score_of(1, 1), PartialScore{}};
  CHECK(pack_score(merge_scores(forward)) == pack_score(merge_scores(backward)));
  const auto record = summarize_score(merge_scores(backward), 2);
  CHECK(record.images == 3);
  CHECK(record.detections == 6);
  CHECK(record.loss[2] == 1.0);
  CHECK(first_difference(record, summarize_score(merge_scores(forward), 1)).empty());
}

TEST_CASE("an image scored by two ranks is an error, not an average") {
  const PartialScore twice[] = {score_of(5, 0), score_of(5, 1)};
  CHECK_THROWS_AS(merge_scores(twice), Error);
}

TEST_CASE("an empty set scores zeros and no loss") {
  const auto record = summarize_score(merge_scores({}), 1);
  CHECK(record.images == 0);
  CHECK(record.map50_95 == 0);
  CHECK(record.loss[0] == 0);
}

TEST_CASE("the first difference between two results names the value and both numbers") {
  const PartialScore parts[] = {score_of(0, 0)};
  ValidationRecord a = summarize_score(merge_scores(parts), 1);
  ValidationRecord b = a;
  b.classes.at(0).map50 = std::nextafter(a.classes[0].map50, 2.0);
  CHECK_THAT(first_difference(a, b), Catch::StartsWith("class 1 map50: "));
  b = a;
  b.loss[1] += 1;
  CHECK_THAT(first_difference(a, b), Catch::StartsWith("loss[1]: "));
}

TEST_CASE("boxes go back to the original image as v7.0's scale_boxes does") {
  // Reference yolov5.md §12: (672,672), box (20,100,640,500), original (427,640), ratio_pad ((1,1),(16,122.5)).
  const ImageGeometry geometry{0, 427, 640, 1, 1, 16, 122.5};
  float x1 = 20, y1 = 100, x2 = 640, y2 = 500;
  scale_to_native(x1, y1, x2, y2, geometry);
  CHECK(x1 == 4);
  CHECK(y1 == 0);
  CHECK(x2 == 624);
  CHECK(y2 == 377.5F);
}

namespace {

std::vector<int> due_epochs(const ValidationSpec& spec, int epochs) {
  const ValidationSchedule schedule(spec, epochs);
  std::vector<int> due;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    if (schedule.due(epoch)) due.push_back(epoch);
  }
  return due;
}

}  // namespace

TEST_CASE("validation is due every interval, not before the start epoch, densely at the end, and always after the last epoch") {
  CHECK(due_epochs({}, 3) == std::vector<int>{0, 1, 2});
  CHECK(due_epochs({.interval = 3}, 7) == std::vector<int>{2, 5, 6});
  CHECK(due_epochs({.interval = 3, .dense_last = 3}, 10) == std::vector<int>{2, 5, 7, 8, 9});
  CHECK(due_epochs({.interval = 2, .start_epoch = 4}, 9) == std::vector<int>{5, 7, 8});
  CHECK(due_epochs({.start_epoch = 20, .dense_last = 4}, 6) == std::vector<int>{5});
}

TEST_CASE("a share of the time thins out validations, after a first one that tells what they cost") {
  TimeShare share(0.25);
  CHECK(share.affordable());  // Nothing is known yet.
  share.trained(1), share.validated(1);
  int validations = 1;
  std::vector<int> validated;
  for (int epoch = 1; epoch < 12; ++epoch) {
    const bool affordable = share.affordable();
    share.trained(1);
    if (affordable) share.validated(1), ++validations, validated.push_back(epoch);
  }
  CHECK(validated == std::vector<int>{5, 8, 11});  // 2 of 8 s, 3 of 12 s, 4 of 16 s: a quarter.
  TimeShare none(0);
  none.trained(1), none.validated(100);
  CHECK(none.affordable());
}
