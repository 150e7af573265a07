// Decoding, resizing, letterbox, labels and rect batches against dataset*.json (golden page
// data_training_validation.md).
#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "data/batch_plan.h"
#include "data/image_file.h"
#include "data/letterbox.h"
#include "data/sample.h"
#include "tests/parity/golden_image.h"

using namespace valbench;
using namespace valbench::test;
using nlohmann::json;

namespace {

constexpr double kExactly = 1e-12;

std::filesystem::path image_path(const json& golden, const std::string& file) {
  return golden_folder() / ".." / "data" / golden["dataset"].get<std::string>() / file;
}

void compare_plan(const Letterbox& box, const json& golden, Deviations& deviations) {
  deviations.add("letterbox pad", box.pad_w, golden["pad_dw_dh"][0], kExactly, 0);
  deviations.add("letterbox pad", box.pad_h, golden["pad_dw_dh"][1], kExactly, 0);
  deviations.add("letterbox ratio", as_printed(box.ratio), golden["ratio_wh"][0], kExactly, 0);
  deviations.add("letterbox ratio", as_printed(box.ratio), golden["ratio_wh"][1], kExactly, 0);
  deviations.add("letterbox borders", box.left, golden["pad_left_top_int"][0], 0, 0);
  deviations.add("letterbox borders", box.top, golden["pad_left_top_int"][1], 0, 0);
  deviations.add("letterbox borders", box.right, golden["pad_right_bottom_int"][0], 0, 0);
  deviations.add("letterbox borders", box.bottom, golden["pad_right_bottom_int"][1], 0, 0);
}

Letterbox compare_letterbox(const cv::Mat& image, const json& golden, Deviations& deviations) {
  const Letterbox box = plan_letterbox(image.rows, image.cols, golden["new_shape_hw"][0], golden["new_shape_hw"][1],
                                       {.minimal = golden["auto"], .scaleup = golden["scaleup"]});
  compare_plan(box, golden, deviations);
  compare_image(apply_letterbox(image, box), golden, "letterbox", deviations);
  return box;
}

void compare_load_image(const ResizedImages& images, const cv::Mat& resized, const json& golden, bool training,
                        Deviations& deviations) {
  compare_image(resized, golden, "load_image", deviations);
  const ImageEntry& entry = images.dataset().images[0];
  const std::array<int, 4> sizes = {entry.height, entry.width, resized.rows, resized.cols};
  for (std::size_t i = 0; i < 2; ++i) {
    deviations.add("load_image sizes", sizes[i], golden["hw0"][i], 0, 0);
    deviations.add("load_image sizes", sizes[2 + i], golden["hw"][i], 0, 0);
  }
  const auto how = longest_side_interpolation(std::max(entry.height, entry.width), images.imgsz(), training);
  const std::string name = !how ? "none" : *how == cv::INTER_LINEAR ? "INTER_LINEAR" : "INTER_AREA";
  CHECK(name == golden["interpolation"].get<std::string>());
}

void compare_item(const ResizedImages& images, const json& golden, bool training, Deviations& deviations) {
  const cv::Mat resized = images.image(0);
  compare_load_image(images, resized, golden["load_image"], training, deviations);
  const Letterbox box = compare_letterbox(resized, golden["letterbox"], deviations);
  const std::vector<LabelRow>& labels = images.dataset().images[0].labels;
  CHECK(labels.size() == golden["n_labels_in"].get<std::size_t>());
  const json& golden_pixels = golden["labels_pixel_cls_x1_y1_x2_y2"];
  auto pixels = to_pixels(labels, box.ratio * resized.cols, box.ratio * resized.rows, box.pad_w, box.pad_h);
  // Training labels pass through the box filter.
  if (training && golden_pixels.size() != pixels.size()) pixels = random_perspective({resized, pixels}, {}, 0).boxes;
  compare_boxes(pixels, golden_pixels, "labels", deviations);
  const json& shape = golden["letterbox"]["new_shape_hw"];
  const Sample sample =
      training ? training_sample(images, 0, ItemDraw{}) : validation_sample(images, 0, shape[0], shape[1]);
  compare_rows(sample.labels, golden["labels_final_cls_x_y_w_h_normalised"], "final labels", deviations);
  CHECK(sample.labels.size() == golden["n_labels_out"].get<std::size_t>());
  compare_image(sample.image, golden["letterbox"], "item", deviations);
  compare_planes(sample.image, golden["tensor_sum_rgb"], "item", deviations);
  if (!golden.contains("shapes_for_rescaling")) return;
  const json& shapes = golden["shapes_for_rescaling"];
  const ImageGeometry& g = sample.geometry;
  const std::array<double, 6> ours = {
      double(g.original_h), double(g.original_w), g.ratio_h, g.ratio_w, g.pad_w, g.pad_h};
  const std::array<double, 6> theirs = {shapes[0][0],    shapes[0][1],    shapes[1][0][0],
                                        shapes[1][0][1], shapes[1][1][0], shapes[1][1][1]};
  for (std::size_t i = 0; i < 6; ++i)
    deviations.add("shapes for rescaling", as_printed(ours[i]), theirs[i], kExactly, 0);
}

// Equal aspect ratios may come in any order in YOLOv5; distinct ones may not.
void compare_rect(const YoloDataset& dataset, const json& golden, bool ordered, Deviations& deviations) {
  const auto plans =
      plan_validation_batches(dataset, {}, golden["imgsz"], golden["batch_size"], 32, BatchShape::rect, golden["pad"]);
  REQUIRE(plans.size() == golden["batch_shapes_hw"].size());
  std::size_t at = 0;
  std::vector<std::string> names;
  for (std::size_t b = 0; b < plans.size(); ++b) {
    deviations.add("rect shapes", plans[b].height, golden["batch_shapes_hw"][b][0], 0, 0);
    deviations.add("rect shapes", plans[b].width, golden["batch_shapes_hw"][b][1], 0, 0);
    for (const std::int64_t i : plans[b].images) {
      const std::string name = dataset.images[static_cast<std::size_t>(i)].file.filename();
      if (ordered) CHECK(name == golden["order"][at].get<std::string>());
      names.push_back(name);
      ++at;
    }
  }
  CHECK(at == golden["order"].size());
  if (ordered) CHECK(std::is_sorted(names.begin(), names.end()) == golden["order_is_name_sorted"].get<bool>());
}

// The sizes are in the names: s_HEIGHTxWIDTH.png.
YoloDataset named_sizes(const json& names) {
  YoloDataset dataset;
  for (const json& name : names) {
    ImageEntry entry{name.get<std::string>(), 0, 0, {}};
    REQUIRE(std::sscanf(name.get<std::string>().c_str(), "s_%dx%d", &entry.height, &entry.width) == 2);
    dataset.images.push_back(entry);
  }
  std::sort(dataset.images.begin(), dataset.images.end(), [](const auto& a, const auto& b) { return a.file < b.file; });
  return dataset;
}

}  // namespace

TEST_CASE("images are decoded bit for bit as YOLOv5 decodes them") {
  if (golden_files("dataset").empty()) VB_SKIP("no golden/dataset*.json");
  for (const auto& file : golden_files("dataset")) {
    const json golden = read_json(file);
    Deviations deviations;
    for (const json& g : golden["decoded"]) {
      const std::filesystem::path path = image_path(golden, g["file"]);
      const cv::Mat image = read_image(path);
      compare_image(image, g, "decoded", deviations);
      const ImageHeader header = read_image_header(path);
      CHECK(header.height == image.rows);
      CHECK(header.width == image.cols);
    }
    deviations.print_and_check(file.filename());
  }
}

TEST_CASE("load_image, letterbox and labels of training and validation items equal YOLOv5's") {
  if (golden_files("dataset").empty()) VB_SKIP("no golden/dataset*.json");
  for (const auto& file : golden_files("dataset")) {
    const json golden = read_json(file);
    Deviations deviations;
    for (const json& g : golden["images"]) {
      const auto dataset = dataset_of(golden["dataset"], {g["file"].get<std::string>()});
      for (const bool training : {true, false}) {
        const ResizedImages images(dataset, {.imgsz = g["imgsz"], .augment = training, .keep = false});
        compare_item(images, g[training ? "train" : "val"], training, deviations);
      }
    }
    deviations.print_and_check(file.filename());
  }
}

TEST_CASE("rect batches have YOLOv5's shapes, and its order where aspect ratios differ") {
  if (golden_files("dataset").empty()) VB_SKIP("no golden/dataset*.json");
  for (const auto& file : golden_files("dataset")) {
    const json golden = read_json(file);
    Deviations deviations;
    for (const json& g : golden["rect_val"]) {
      std::vector<std::string> files;
      for (const json& name : g["order"]) files.push_back("images/val/" + name.get<std::string>());
      std::sort(files.begin(), files.end());
      compare_rect(*dataset_of(golden["dataset"], files), g, false, deviations);
    }
    for (const json& g : golden["rect_synthetic"]) compare_rect(named_sizes(g["order"]), g, true, deviations);
    deviations.print_and_check(file.filename());
  }
}

TEST_CASE("formula images are resized and letterboxed bit for bit") {
  if (golden_files("dataset").empty()) VB_SKIP("no golden/dataset*.json");
  for (const auto& file : golden_files("dataset")) {
    const json golden = read_json(file);
    Deviations deviations;
    for (const json& g : golden["synthetic"]) {
      const cv::Mat image = formula_image(g["h"], g["w"]);
      compare_image(image, g, "formula image", deviations);
      for (const json& r : g["resize"]) {
        const bool bilinear = r["interpolation"] == "INTER_LINEAR";
        // Enlarging is always bilinear in load_image; the golden file has the area variant too.
        if (!bilinear && r["imgsz"].get<int>() > std::max(image.rows, image.cols)) continue;
        compare_image(resize_to_longest(image, r["imgsz"], bilinear), r, "resize", deviations);
      }
      for (const json& l : g["letterbox"]) compare_letterbox(image, l, deviations);
    }
    deviations.print_and_check(file.filename());
  }
}
