// COCO's definition at its edges, held against pycocotools: small sets from a generator that coco_expected.py has as
// well.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>

#include "base/error.h"
#include "metrics/coco_average_precision.h"
#include "metrics/coco_json.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"

using namespace valbench;
using valbench::test::ScratchFolder;

namespace {

struct Case {
  const char* name;
  std::uint64_t seed;
  int images, categories, labels, detections, crowd_percent, levels, side;
  std::int64_t first_id;
  std::array<double, 12> expected;
};

// Printed by coco_expected.py with pycocotools 2.0.11.
const std::vector<Case> kCases = {
    {"everything",
     1,
     12,
     3,
     9,
     40,
     10,
     1000,
     200,
     1,
     {0.28430128917055936, 0.3821525939480519, 0.3076714339296675, 0.08517982567487517, 0.3330808244722565,
      0.4250453215308866, 0.26375661375661374, 0.6502645502645503, 0.6521164021164022, 0.27777777777777773,
      0.6874074074074074, 0.746825396825397}},
    {"crowds",
     2,
     10,
     2,
     6,
     30,
     45,
     1000,
     60,
     1,
     {0.07486105343997897, 0.1398279113625648, 0.05357734868509475, 0.034514684187312746, 0.3126306364058157, -1.0,
      0.07840909090909091, 0.29015151515151516, 0.30340909090909085, 0.12777777777777777, 0.8, -1.0}},
    {"ties",
     3,
     10,
     2,
     6,
     30,
     10,
     4,
     80,
     1,
     {0.07129398425121662, 0.20117986830543919, 0.01771188006809731, 0.053895170383230946, 0.20074761556634005, -1.0,
      0.08398692810457517, 0.2795751633986928, 0.28251633986928104, 0.19755244755244755, 0.4946428571428571, -1.0}},
    {"sizes",
     4,
     20,
     2,
     5,
     20,
     5,
     1000,
     320,
     1,
     {0.4020776591574035, 0.489920083081597, 0.4391914126723629, 0.16955445544554457, 0.3886534672992239,
      0.5117741396437786, 0.4160689655172414, 0.7091724137931036, 0.7111724137931035, 0.325, 0.5972222222222221, 0.85}},
    {"large ids",
     5,
     10,
     2,
     6,
     30,
     10,
     1000,
     80,
     9007199254740989,
     {0.14093498749765368, 0.1981206839171312, 0.1585337105139085, 0.020626428027418126, 0.35297639110415596, -1.0,
      0.14375, 0.24583333333333335, 0.27499999999999997, 0.11833333333333333, 0.4821428571428571, -1.0}},
    {"id 0",
     6,
     8,
     2,
     4,
     20,
     0,
     1000,
     60,
     0,
     {0.2833921553112001, 0.4597123998114096, 0.3044097816375044, 0.28834217350306457, 0.522052205220522, -1.0,
      0.19711538461538464, 0.3826923076923077, 0.3826923076923077, 0.35808080808080806, 0.5375, -1.0}},
    {"more than 100",
     7,
     4,
     1,
     30,
     400,
     5,
     50,
     90,
     1,
     {0.27785301117510774, 0.5261185139288317, 0.27492484207003226, 0.1647338206153075, 0.4353197161385557, -1.0,
      0.02153846153846154, 0.22000000000000003, 0.6984615384615386, 0.54, 0.8342857142857143, -1.0}},
    {"no labels",
     8,
     4,
     2,
     0,
     10,
     0,
     1000,
     60,
     1,
     {-1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0}},
    {"no detections", 9, 4, 2, 5, 0, 10, 1000, 60, 1, {0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0}},
    {"only crowds",
     10,
     4,
     2,
     5,
     10,
     100,
     1000,
     60,
     1,
     {-1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0}},
    {"all scores equal",
     11,
     10,
     2,
     6,
     30,
     10,
     1,
     80,
     1,
     {0.12684445310849732, 0.19253926046084377, 0.14833906777774553, 0.09064701904620528, 0.32623539826510123, -1.0,
      0.17124999999999999, 0.49375, 0.5, 0.38999999999999996, 0.6166666666666667, -1.0}},
};

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  int below(int n) {
    state_ = state_ * 6364136223846793005 + 1442695040888963407;
    return static_cast<int>((state_ >> 33) % static_cast<std::uint64_t>(n));
  }

 private:
  std::uint64_t state_;
};

struct Box {
  int x, y, w, h;
};

struct Texts {
  std::string truth, detections;
};

std::ostream& operator<<(std::ostream& out, const Box& box) {
  return out << "\"bbox\": [" << box.x << ", " << box.y << ", " << box.w << ", " << box.h << "]";
}

std::string ids_of(int count, std::int64_t first) {
  std::string text;
  for (int i = 0; i < count; ++i) text += (i > 0 ? ", {\"id\": " : "{\"id\": ") + std::to_string(first + i) + "}";
  return text;
}

/// A case's two files. The order of the random numbers is that of coco_expected.py.
Texts files_of(const Case& c) {
  Random random(c.seed);
  std::ostringstream labels, results;
  labels.precision(17), results.precision(17);
  std::int64_t label_id = c.first_id;
  const char* between = "";
  const auto new_box = [&] {
    Box box{};
    box.x = random.below(200), box.y = random.below(200);
    box.w = 1 + random.below(c.side), box.h = 1 + random.below(c.side);
    return box;
  };
  for (int image = 0; image < c.images; ++image) {
    std::vector<std::pair<Box, std::int64_t>> own;
    for (int left = random.below(c.labels + 1); left > 0; --left) {
      const Box box = new_box();
      const std::int64_t category = random.below(c.categories) + c.first_id;
      const bool crowd = random.below(100) < c.crowd_percent;
      labels << (label_id > c.first_id ? ", " : "") << "{\"id\": " << label_id
             << ", \"image_id\": " << image + c.first_id << ", \"category_id\": " << category
             << ", \"iscrowd\": " << crowd << ", " << box
             << ", \"area\": " << box.w * box.h * (50 + random.below(51)) / 100.0 << '}';
      ++label_id, own.emplace_back(box, category);
    }
    for (int left = c.detections < 100 ? random.below(c.detections + 1) : c.detections; left > 0; --left) {
      const bool near = !own.empty();
      const auto& [label, of] =
          near ? own[static_cast<std::size_t>(random.below(static_cast<int>(own.size())))] : own.emplace_back();
      Box box = label;
      if (near) {
        for (int* side : {&box.x, &box.y, &box.w, &box.h}) *side += random.below(9) - 4;
      } else {
        own.clear(), box = new_box();
      }
      box.w = std::max(box.w, 1), box.h = std::max(box.h, 1);
      const bool same = near && random.below(10) < 8;
      const std::int64_t category = same ? of : random.below(c.categories) + c.first_id;
      results << between << "{\"image_id\": " << image + c.first_id << ", \"category_id\": " << category << ", " << box
              << ", \"score\": " << (1 + random.below(c.levels)) / static_cast<double>(c.levels) << '}';
      between = ", ";
    }
  }
  return {"{\"images\": [" + ids_of(c.images, c.first_id) + "], \"categories\": [" + ids_of(c.categories, c.first_id) +
              "], \"annotations\": [" + labels.str() + "]}",
          "[" + results.str() + "]"};
}

CocoSet read_texts(const ScratchFolder& folder, const std::string& truth, const std::string& detections) {
  return read_coco_set(folder.write("gt.json", truth), folder.write("dt.json", detections));
}

const char* const kTruth =
    R"({"info": {}, "images": [{"id": 7}, {"id": 3}], "categories": [{"id": 1, "name": "a"}],
 "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 10, 10], "area": 100, "iscrowd": 0}]})";

}  // namespace

TEST_CASE("crowds, ties, sizes, ids above 2^24, id 0, empty sets: the twelve numbers equal pycocotools'") {
  for (const Case& c : kCases) {
    const ScratchFolder folder;
    const Texts texts = files_of(c);
    const CocoSet set = read_texts(folder, texts.truth, texts.detections);
    const auto ours = coco_average_precision(set, 2).numbers();
    double worst = 0;
    for (std::size_t i = 0; i < ours.size(); ++i) {
      INFO(c.name << ", number " << i);
      CHECK(std::abs(ours[i] - c.expected[i]) <= 1e-9);
      worst = std::max(worst, std::abs(ours[i] - c.expected[i]));
    }
    std::printf("coco, %s: largest deviation %.3g, tolerance 1e-09\n", c.name, worst);
    CHECK(coco_average_precision(set, 1).numbers() == ours);
  }
}

TEST_CASE("a detection that covers its label scores 1 in the label's range of sizes and -1 where there is none") {
  const ScratchFolder folder;
  const CocoSet set =
      read_texts(folder, kTruth, R"([{"image_id": 7, "category_id": 1, "bbox": [0, 0, 10, 10], "score": 0.5}])");
  REQUIRE(set.images == 2);
  REQUIRE(set.labels.size() == 1);
  CHECK(set.labels[0].image == 1);  // ids ascending: 3, 7
  const std::array<double, 12> expected = {1, 1, 1, 1, -1, -1, 1, 1, 1, 1, -1, -1};
  const auto ours = coco_average_precision(set).numbers();
  for (std::size_t i = 0; i < ours.size(); ++i) {
    INFO("number " << i);
    CHECK(std::abs(ours[i] - expected[i]) <= 1e-15);  // the definition adds an epsilon to the number of detections
  }
}

TEST_CASE("image ids may be strings, unknown categories are left out, unknown fields are passed over") {
  const ScratchFolder folder;
  const CocoSet set = read_texts(
      folder, R"({"categories": [{"id": 5}], "images": [{"file_name": "b.jpg", "id": "b"}, {"id": "a"}],
 "annotations": [{"area": 4.5, "segmentation": [[1, 2], {"x": null}], "bbox": [0, 0, 1.5, 3], "category_id": 5, "image_id": "b", "id": 0},
                 {"id": 2, "image_id": "a", "category_id": 6, "bbox": [0, 0, 1, 1], "area": 1, "iscrowd": true}]})",
      R"([{"score": 1e-3, "bbox": [0, 0, 1.5, 3], "image_id": "b", "category_id": 5}, {"image_id": "a", "category_id": 9, "bbox": [0, 0, 1, 1], "score": 1}])");
  CHECK(set.labels.size() == 1);
  CHECK(set.labels[0].zero_id);
  CHECK(set.labels[0].image == 1);
  CHECK(set.detections.size() == 1);
  CHECK(set.detections[0].score == 1e-3);
}

TEST_CASE("COCO files that cannot be used are refused with file, entry and reason") {
  const ScratchFolder folder;
  const auto refused = [&](const std::string& truth, const std::string& detections) {
    try {
      read_texts(folder, truth, detections);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const std::string truth = kTruth;
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = truth;
    return text.replace(text.find(from), from.size(), to);
  };
  CHECK_THAT(refused(truth, "[{\"image_id\": 7, "), Catch::Contains("dt.json: "));
  CHECK_THAT(refused(truth, "[] []"), Catch::Contains("dt.json: this is no valid JSON"));
  CHECK_THAT(refused(truth, "{}"), Catch::Contains("dt.json: this is no list of detections"));
  CHECK_THAT(refused(truth, ""), Catch::Contains("dt.json: "));
  CHECK_THAT(refused("{\"images\": []}", "[]"), Catch::Contains("gt.json: there is no list `categories`"));
  CHECK_THAT(refused(truth, R"([{"image_id": 8, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}])"),
             Catch::Contains("dt.json: detections[0]: its `image_id` is not among the images"));
  CHECK_THAT(refused(truth, R"([{"image_id": 7, "category_id": 1, "bbox": [0, 0, 1], "score": 1}])"),
             Catch::Contains("detections[0]: `bbox` has 3 numbers"));
  CHECK_THAT(refused(truth, R"([{"image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1], "score": "1"}])"),
             Catch::Contains("detections[0]: "));
  CHECK_THAT(refused(truth, R"([{"image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1]}])"),
             Catch::Contains("detections[0]: there is no `score`"));
  CHECK_THAT(refused(with("\"area\": 100, ", ""), "[]"), Catch::Contains("annotations[0]: there is no `area`"));
  CHECK_THAT(refused(with("{\"id\": 3}", "{\"id\": 7}"), "[]"),
             Catch::Contains("gt.json: images: the id 7 occurs twice"));
  CHECK_THAT(refused(with("{\"id\": 3}", "{\"id\": \"x\"}"), "[]"),
             Catch::Contains("some ids are numbers and some strings"));
  CHECK_THROWS_WITH(read_coco_set(folder.path() / "none.json", folder.path() / "dt.json"),
                    Catch::Contains("none.json: the file cannot be read"));
}

TEST_CASE("an index out of range and a score that is no number are refused") {
  CocoSet set{.images = 1, .categories = 1, .labels = {}, .detections = {{0, 0, 1, 1, 0.5, 0, 0}}};
  set.detections[0].image = 1;
  CHECK_THROWS_WITH(coco_average_precision(set), Catch::Contains("COCO detection 0: image 1 of 1"));
  set.detections[0].image = 0, set.detections[0].category = 3;
  CHECK_THROWS_WITH(coco_average_precision(set), Catch::Contains("category 3 of 1"));
  set.detections[0].category = 0, set.detections[0].score = NAN;
  CHECK_THROWS_WITH(coco_average_precision(set), Catch::Contains("not finite"));
}
