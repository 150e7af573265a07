#include <algorithm>
#include <cstring>
#include <random>

#include "base/error.h"
#include "metrics/confusion_matrix.h"
#include "metrics/matching.h"
#include "metrics/mean_average_precision.h"
#include "tests/support/catch.h"

using namespace valbench;

namespace {

struct BoxSet {
  std::vector<std::vector<Detection>> detections;
  std::vector<std::vector<Label>> labels;
  std::vector<ImageBoxes> images() const {
    std::vector<ImageBoxes> out;
    for (std::size_t i = 0; i < labels.size(); ++i)
      out.push_back({static_cast<std::int64_t>(i), detections[i], labels[i]});
    return out;
  }
};

BoxSet random_boxes(int images, unsigned seed) {
  std::mt19937 random(seed);
  const auto uniform = [&](float low, float high) { return std::uniform_real_distribution<float>(low, high)(random); };
  BoxSet set;
  for (int i = 0; i < images; ++i) {
    std::vector<Label>& labels = set.labels.emplace_back();
    std::vector<Detection>& detections = set.detections.emplace_back();
    for (int l = static_cast<int>(random() % 6); l > 0; --l) {
      const float x = uniform(0, 500), y = uniform(0, 400);
      labels.push_back({static_cast<float>(random() % 7), x, y, x + uniform(5, 120), y + uniform(5, 120)});
    }
    for (int d = static_cast<int>(random() % 30); d > 0; --d) {
      const Label base = labels.empty() ? Label{1, 5, 5, 50, 50} : labels[random() % labels.size()];
      const float n = uniform(-12, 12), score = std::round(uniform(0, 1) * 64) / 64;  // many ties
      detections.push_back({base.x1 + n, base.y1, base.x2 + uniform(-9, 9), base.y2 + n, score,
                            random() % 4 == 0 ? static_cast<float>(random() % 8) : base.cls});
    }
    std::stable_sort(detections.begin(), detections.end(),
                     [](const auto& a, const auto& b) { return a.score > b.score; });
  }
  return set;
}

bool same_bits(double a, double b) { return std::memcmp(&a, &b, sizeof a) == 0; }

bool same_bits(const MeanAveragePrecision& a, const MeanAveragePrecision& b) {
  bool same = same_bits(a.precision, b.precision) && same_bits(a.recall, b.recall) && same_bits(a.map50, b.map50) &&
              same_bits(a.map50_95, b.map50_95) && a.best_f1_index == b.best_f1_index &&
              a.classes.size() == b.classes.size();
  for (std::size_t c = 0; same && c < a.classes.size(); ++c) {
    const ClassAveragePrecision &p = a.classes[c], &q = b.classes[c];
    same = p.cls == q.cls && p.labels == q.labels && same_bits(p.true_positives, q.true_positives) &&
           same_bits(p.false_positives, q.false_positives) && same_bits(p.precision, q.precision) &&
           same_bits(p.recall, q.recall) && same_bits(p.f1, q.f1) && std::memcmp(&p.ap, &q.ap, sizeof p.ap) == 0;
  }
  return same;
}

bool same_entries(const MatchSet& a, const MatchSet& b) {
  const auto bytes = [](const auto& x, const auto& y) {
    return x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof x[0]) == 0);
  };
  const bool images =
      std::equal(a.images.begin(), a.images.end(), b.images.begin(), b.images.end(),
                 [](auto& x, auto& y) { return x.id == y.id && x.detections == y.detections && x.labels == y.labels; });
  return images && bytes(a.detections, b.detections) && bytes(a.label_classes, b.label_classes);
}

}  // namespace

TEST_CASE("a label goes to the most confident detection that wants it, not to the one of highest IoU") {
  const std::vector<Label> labels = {{0, 0, 0, 100, 100}};
  const std::vector<Detection> detections = {{0, 0, 100, 80, .9f, 0}, {0, 0, 100, 100, .8f, 0}};
  MatchSet matches;
  match_image(0, detections, labels, matches);
  // IoU .8 takes the thresholds .5 to .8 (1e-7 in the denominator leaves .8 itself just unreached or reached in
  // float32); what it cannot reach is left to the second.
  CHECK((matches.detections[0].correct & 0x3f) == 0x3f);
  CHECK((matches.detections[1].correct & 0x3f) == 0);
  CHECK((matches.detections[0].correct | matches.detections[1].correct) == 0x3ff);
  CHECK((matches.detections[0].correct & matches.detections[1].correct) == 0);
}

TEST_CASE("a detection of another class matches nothing") {
  MatchSet matches;
  match_image(3, std::vector<Detection>{{0, 0, 10, 10, .9f, 1}}, std::vector<Label>{{0, 0, 0, 10, 10}}, matches);
  CHECK(matches.detections[0].correct == 0);
  CHECK(matches.images[0].id == 3);
}

TEST_CASE("an empty set, a set without labels and a set without detections score zero") {
  const auto zero = [](const MeanAveragePrecision& m) {
    return m.precision == 0 && m.recall == 0 && m.map50 == 0 && m.map50_95 == 0 && m.best_f1_index == 0;
  };
  CHECK(zero(mean_average_precision({})));
  MatchSet no_labels;
  match_image(0, std::vector<Detection>{{0, 0, 10, 10, .9f, 0}}, {}, no_labels);
  CHECK(zero(mean_average_precision(no_labels)));
  CHECK(mean_average_precision(no_labels).classes.empty());
  MatchSet no_detections;
  match_image(0, {}, std::vector<Label>{{2, 0, 0, 10, 10}}, no_detections);
  const MeanAveragePrecision scored = mean_average_precision(no_detections);
  CHECK(zero(scored));
  REQUIRE(scored.classes.size() == 1);
  CHECK(scored.classes[0].cls == 2);
  CHECK(scored.classes[0].labels == 1);
}

TEST_CASE("a perfect class scores 0.995 and a class that is never predicted halves the mean") {
  MatchSet matches;
  match_image(0, std::vector<Detection>{{0, 0, 10, 10, .9f, 0}},
              std::vector<Label>{{0, 0, 0, 10, 10}, {1, 20, 20, 30, 30}}, matches);
  const MeanAveragePrecision scored = mean_average_precision(matches);
  REQUIRE(scored.classes.size() == 2);
  CHECK(scored.classes[0].map50() == Approx(.995));
  CHECK(scored.classes[1].map50_95() == 0);
  CHECK(scored.map50_95 == Approx(.4975));
  CHECK(scored.classes[0].true_positives == 1);
  CHECK(scored.classes[0].false_positives == 0);
}

TEST_CASE("detections of a class without labels count nothing") {
  MatchSet with, without;
  const std::vector<Label> labels = {{0, 0, 0, 10, 10}};
  match_image(0, std::vector<Detection>{{0, 0, 10, 10, .9f, 0}}, labels, without);
  match_image(0, std::vector<Detection>{{0, 0, 10, 10, .95f, 5}, {0, 0, 10, 10, .9f, 0}}, labels, with);
  CHECK(same_bits(mean_average_precision(with), mean_average_precision(without)));
}

TEST_CASE("parts merged in any order give the same bits as one pass over all images") {
  const BoxSet set = random_boxes(101, 4);
  const std::vector<ImageBoxes> images = set.images();
  const MatchSet whole = match_set(images, 1);
  const MeanAveragePrecision expected = mean_average_precision(whole);
  CHECK(expected.map50 > .1);
  std::mt19937 random(1);
  for (int trial = 0; trial < 5; ++trial) {
    std::vector<MatchSet> parts(4);
    std::vector<ImageBoxes> shuffled = images;
    std::shuffle(shuffled.begin(), shuffled.end(), random);
    for (const ImageBoxes& image : shuffled) match_image(image.id, image.detections, image.labels, parts[random() % 4]);
    const MatchSet merged = merge_matches(parts);
    CHECK(same_entries(merged, whole));
    CHECK(same_bits(mean_average_precision(merged), expected));
    CHECK(same_entries(match_set(shuffled, 3), whole));
  }
}

TEST_CASE("any number of threads gives the same bits") {
  const BoxSet set = random_boxes(300, 9);
  const MatchSet one = match_set(set.images(), 1);
  const MeanAveragePrecision expected = mean_average_precision(one, 1);
  for (const int threads : {2, 3, 8, 64}) {
    CHECK(same_entries(match_set(set.images(), threads), one));
    CHECK(same_bits(mean_average_precision(one, threads), expected));
  }
}

TEST_CASE("an image that occurs twice is refused") {
  std::vector<MatchSet> parts(2);
  match_image(7, {}, {}, parts[0]);
  match_image(7, {}, {}, parts[1]);
  CHECK_THROWS_WITH(merge_matches(parts), Catch::Contains("image 7 was scored twice"));
  CHECK_THROWS_AS(match_set(std::vector<ImageBoxes>{{1, {}, {}}, {1, {}, {}}}), Error);
}

TEST_CASE("a part whose counts do not fit its entries is refused") {
  std::vector<MatchSet> parts(1);
  match_image(7, {}, std::vector<Label>{{0, 0, 0, 1, 1}}, parts[0]);
  parts[0].images[0].labels = 2;
  CHECK_THROWS_WITH(merge_matches(parts), Catch::Contains("2 labels over its images, but holds 0 and 1"));
}

TEST_CASE("the confusion matrix counts background, misses and confusions, and its parts add up") {
  const std::vector<Label> labels = {{0, 0, 0, 10, 10}, {1, 50, 50, 60, 60}};
  const std::vector<Detection> detections = {
      {0, 0, 10, 10, .9f, 1}, {200, 200, 210, 210, .8f, 0}, {50, 50, 60, 60, .2f, 1}};
  ConfusionMatrix first(2), second(2);
  first.add_image(detections, labels);
  CHECK(first.count(1, 0) == 1);     // seen, with the wrong class
  CHECK(first.count(2, 1) == 1);     // missed: its detection is not confident enough
  CHECK(first.count(0, 2) == 1);     // background
  second.add_image(detections, {});  // no labels: nothing
  CHECK(second == ConfusionMatrix(2));
  second.add_image({}, labels);
  CHECK(second.count(2, 0) == 1);
  second.add_image(std::vector<Detection>{{200, 200, 210, 210, .8f, 0}}, labels);  // no match: no false positive
  CHECK(second.count(0, 2) == 0);
  ConfusionMatrix sum = first;
  sum.add(second);
  CHECK(sum.count(2, 1) == 3);
  CHECK_THROWS_AS(sum.add(ConfusionMatrix(3)), Error);
  CHECK_THROWS_AS(sum.add_image({}, std::vector<Label>{{2, 0, 0, 1, 1}}), Error);
}
