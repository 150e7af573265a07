// Augmentations against augment*.json: every random decision is taken from the file (golden page
// data_training_validation.md).
#include "data/augment.h"

#include <opencv2/core.hpp>

#include "data/letterbox.h"
#include "data/mosaic.h"
#include "data/sample.h"
#include "tests/parity/golden_image.h"

using namespace valbench;
using namespace valbench::test;
using nlohmann::json;

namespace {

std::vector<PixelBox> boxes_of(const json& rows) {
  std::vector<PixelBox> boxes;
  for (const json& r : rows) boxes.push_back({r[0], r[1], r[2], r[3], r[4]});
  return boxes;
}

PerspectiveDraw perspective_of(const json& g) {
  const json& d = g["decisions"];
  PerspectiveDraw draw{.px = d["px"], .py = d["py"], .angle_deg = d["angle_deg"], .scale = d["scale"]};
  draw.shear_x_deg = d["shear_x_deg"];
  draw.shear_y_deg = d["shear_y_deg"];
  draw.tx = d["tx_fraction"];
  draw.ty = d["ty_fraction"];
  draw.projective = g["ranges"].value("perspective", 0.0) != 0;
  return draw;
}

// Sources read "file_list[N] letterboxed to S", "file_list[N] load_image at S" or "synthetic HxW".
cv::Mat source_image(const std::string& source, const ResizedImages& images) {
  int index = 0, a = 0, b = 0;
  if (std::sscanf(source.c_str(), "synthetic %dx%d", &a, &b) == 2) return formula_image(a, b);
  if (std::sscanf(source.c_str(), "file_list[%d] load_image at %d", &index, &a) == 2) return images.image(index);
  REQUIRE(std::sscanf(source.c_str(), "file_list[%d] letterboxed to %d", &index, &a) == 2);
  const cv::Mat resized = images.image(index);
  return apply_letterbox(resized, plan_letterbox(resized.rows, resized.cols, a, a, {}));
}

void compare_warp(const LabelledImage& in, const PerspectiveDraw& draw, int border, const json& g,
                  Deviations& deviations) {
  const int out_h = in.image.rows + 2 * border, out_w = in.image.cols + 2 * border;
  const cv::Matx33d matrix = perspective_matrix(draw, in.image.rows, in.image.cols, out_h, out_w);
  for (int r = 0; r < 3; ++r) {
    for (int c = 0; c < 3; ++c) {
      if (g["matrix"].is_null()) {
        deviations.add("matrix", matrix(r, c), r == c ? 1 : 0, 0, 0);
      } else {
        deviations.add("matrix", matrix(r, c), g["matrix"][static_cast<std::size_t>(r)][static_cast<std::size_t>(c)],
                       1e-9, 1e-9);
      }
    }
  }
  const std::vector<WarpedBox> warped = warp_boxes(in.boxes, matrix, out_h, out_w, draw.projective);
  const json& boxes = g["boxes_warped_clipped_unfiltered"];
  REQUIRE(warped.size() == boxes.size());
  for (std::size_t i = 0; i < warped.size(); ++i) {
    const std::array<double, 4> values = {warped[i].x1, warped[i].y1, warped[i].x2, warped[i].y2};
    for (std::size_t c = 0; c < 4; ++c) deviations.add("warped boxes px", values[c], boxes[i][c], 1e-3, 0);
  }
  CHECK(box_candidates(in.boxes, warped, draw.scale) == g["kept_mask"].get<std::vector<bool>>());
  const LabelledImage out = random_perspective(in, draw, border);
  // An image that no warp touches is not copied either.
  const std::string warp =
      out.image.data == in.image.data ? "none" : draw.projective ? "warpPerspective" : "warpAffine";
  CHECK(warp == g["warp"].get<std::string>());
  compare_image(out.image, g["output"], "warped image", deviations);
  compare_boxes(out.boxes, g["labels_out_cls_x1_y1_x2_y2"], "kept boxes", deviations);
}

// A mosaic's tiles in any order: the first image and its partners.
void check_tiles(const json& tiles, const json& first, const json& partners) {
  auto drawn = partners.get<std::vector<std::int64_t>>();
  drawn.push_back(first);
  CHECK_THAT(tiles.get<std::vector<std::int64_t>>(), Catch::Matchers::UnorderedEquals(drawn));
}

// The draws of a whole item, in YOLOv5's draw order.
MosaicDraw mosaic_draw_of(const json& decisions, std::size_t which, bool projective) {
  const json& u = decisions["uniform"];
  const std::size_t at = 10 * which;
  MosaicDraw draw{.yc = u[at], .xc = u[at + 1]};
  draw.tiles = decisions["shuffle"][which].get<std::array<std::int64_t, 4>>();
  draw.perspective = {u[at + 2], u[at + 3], u[at + 4], u[at + 5], u[at + 6],
                      u[at + 7], u[at + 8], u[at + 9], projective};
  return draw;
}

ItemDraw item_draw_of(const json& g) {
  const json &hyp = g["hyp"], &d = g["decisions_in_draw_order"];
  const bool projective = hyp["perspective"] != 0.0;
  std::size_t at = 0;
  const auto happens = [&](const char* probability) {
    return d["random"][at++].get<double>() < hyp[probability].get<double>();
  };
  ItemDraw draw;
  draw.mosaic = happens("mosaic");
  if (draw.mosaic) {
    draw.tiles = mosaic_draw_of(d, 0, projective);
    check_tiles(d["shuffle"][0], g["index"], d["choices"][0]);
    draw.mixup = happens("mixup");
    if (draw.mixup) {
      draw.mixup_tiles = mosaic_draw_of(d, 1, projective);
      check_tiles(d["shuffle"][1], d["randint"][0], d["choices"][1]);
      draw.mixup_ratio = d["beta"][0];
    }
  } else {
    const json& u = d["uniform"];
    draw.perspective = {u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], projective};
  }
  if (d.contains("np_uniform")) {
    const json& n = d["np_uniform"][0];
    draw.hsv = {n[0], n[1], n[2], hyp["hsv_h"], hyp["hsv_s"], hyp["hsv_v"]};
  }
  draw.flip_ud = happens("flipud");
  draw.flip_lr = happens("fliplr");
  return draw;
}

ResizedImages images_of(const json& golden, int imgsz) {
  return {dataset_of(golden["dataset"], golden["file_list"].get<std::vector<std::string>>()),
          {.imgsz = imgsz, .augment = true, .keep = false}};
}

// Where an item was placed in the input: a mosaic has no such place (YOLOv5 gives None).
bool has_shapes(const Sample& sample) {
  const ImageGeometry& g = sample.geometry;
  return g.ratio_h != 1 || g.ratio_w != 1 || g.pad_h != 0 || g.pad_w != 0;
}

void compare_mosaic(const json& golden, const json& g, Deviations& deviations) {
  const int imgsz = g["imgsz"];
  const ResizedImages images = images_of(golden, imgsz);
  const json& drawn = g["first_index_and_3_choices"];
  check_tiles(g["order_after_shuffle_TL_TR_BL_BR"], drawn[0], json(drawn.begin() + 1, drawn.end()));
  std::array<MosaicTile, 4> tiles;
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t index = g["order_after_shuffle_TL_TR_BL_BR"][i];
    tiles[i] = {images.image(static_cast<std::int64_t>(index)), &images.dataset().images[index].labels};
  }
  const int yc = static_cast<int>(g["yc_drawn"].get<double>()), xc = static_cast<int>(g["xc_drawn"].get<double>());
  CHECK(yc == g["yc"].get<int>());
  CHECK(xc == g["xc"].get<int>());
  const LabelledImage canvas = mosaic_canvas(tiles, imgsz, yc, xc);
  compare_image(canvas.image, g["canvas_before_perspective"], "mosaic canvas", deviations);
  compare_boxes(canvas.boxes, g["labels_before_perspective_cls_x1_y1_x2_y2"], "mosaic labels", deviations);
  compare_warp(canvas, perspective_of(g), -imgsz / 2, g, deviations);
}

}  // namespace

TEST_CASE("random perspective equals YOLOv5's: matrix, pixels, boxes and filter") {
  if (golden_files("augment").empty()) VB_SKIP("no golden/augment*.json");
  for (const auto& file : golden_files("augment")) {
    const json golden = read_json(file);
    Deviations deviations;
    for (const json& g : golden["random_perspective"]) {
      const int size = std::max(g["input"]["shape_hw"][0].get<int>(), g["input"]["shape_hw"][1].get<int>());
      const LabelledImage in{source_image(g["source"], images_of(golden, size)),
                             boxes_of(g["labels_in_cls_x1_y1_x2_y2"])};
      compare_image(in.image, g["input"], "input", deviations);
      compare_warp(in, perspective_of(g), g["border_hw"][0], g, deviations);
    }
    deviations.print_and_check(file.filename());
  }
}

TEST_CASE("mosaics equal YOLOv5's before and after the warp") {
  if (golden_files("augment").empty()) VB_SKIP("no golden/augment*.json");
  for (const auto& file : golden_files("augment")) {
    const json golden = read_json(file);
    Deviations deviations;
    for (const json& g : golden["mosaic4"]) compare_mosaic(golden, g, deviations);
    deviations.print_and_check(file.filename());
  }
}

TEST_CASE("mixup equals YOLOv5's") {
  if (golden_files("augment").empty()) VB_SKIP("no golden/augment*.json");
  for (const auto& file : golden_files("augment")) {
    const json golden = read_json(file);
    Deviations deviations;
    for (const json& g : golden["mixup"]) {
      const ResizedImages images = images_of(golden, g["imgsz"]);
      std::array<LabelledImage, 2> in;
      for (std::size_t i = 0; i < 2; ++i) {
        in[i].image =
            source_image("file_list[" + g["images"][i].dump() + "] letterboxed to " + g["imgsz"].dump(), images);
        in[i].boxes.resize(images.dataset().images[g["images"][i]].labels.size());
        compare_image(in[i].image, g["inputs"][i], "input", deviations);
        deviations.add("label counts", static_cast<double>(in[i].boxes.size()), g["labels_count"][i], 0, 0);
      }
      const LabelledImage out = mixup(in[0], in[1], g["r"]);
      compare_image(out.image, g["output"], "mixup", deviations);
      deviations.add("label counts", static_cast<double>(out.boxes.size()), g["labels_count"][2], 0, 0);
    }
    deviations.print_and_check(file.filename());
  }
}

TEST_CASE("HSV tables and pixels equal YOLOv5's") {
  if (golden_files("augment").empty()) VB_SKIP("no golden/augment*.json");
  for (const auto& file : golden_files("augment")) {
    const json golden = read_json(file);
    Deviations deviations;
    for (const json& g : golden["hsv"]) {
      const json &u = g["uniform_draws_h_s_v"], &gain = g["hyp_gains_h_s_v"];
      const HsvDraw draw{u[0], u[1], u[2], gain[0], gain[1], gain[2]};
      const int size = std::max(g["input"]["shape_hw"][0].get<int>(), g["input"]["shape_hw"][1].get<int>());
      cv::Mat image = source_image(g["source"], images_of(golden, size));
      compare_image(image, g["input"], "input", deviations);
      const cv::Scalar sums = cv::sum(to_hsv(image));
      const std::array<double, 3> factors = hsv_factors(draw);
      for (std::size_t c = 0; c < 3; ++c) {
        deviations.add("input HSV sums", sums[static_cast<int>(c)], g["input_hsv_channel_sums"][c], 0, 0);
        deviations.add("factors", as_printed(factors[c]), g["factors_r"][c], 1e-12, 0);
      }
      const HsvTables tables = hsv_tables(draw);
      for (std::size_t i = 0; i < 256; ++i) {
        deviations.add("tables", tables.hue[i], g["luts_h_s_v"][0][i], 0, 0);
        deviations.add("tables", tables.saturation[i], g["luts_h_s_v"][1][i], 0, 0);
        deviations.add("tables", tables.value[i], g["luts_h_s_v"][2][i], 0, 0);
      }
      augment_hsv(image, draw);
      compare_image(image, g["output"], "HSV", deviations);
    }
    deviations.print_and_check(file.filename());
  }
}

TEST_CASE("flips and whole items equal YOLOv5's") {
  if (golden_files("augment").empty()) VB_SKIP("no golden/augment*.json");
  for (const auto& file : golden_files("augment")) {
    const json golden = read_json(file);
    Deviations deviations;
    for (const char* kind : {"flips", "full_item"}) {
      for (const json& g : golden[kind]) {
        const Sample sample = training_sample(images_of(golden, g["imgsz"]), g["index"], item_draw_of(g));
        CHECK(has_shapes(sample) != g["shapes_is_none"].get<bool>());
        compare_planes(sample.image, g["tensor_chw_sum_rgb"], kind, deviations);
        compare_image(sample.image, g["image"], kind, deviations);
        compare_rows(sample.labels, g["labels_final_cls_x_y_w_h_normalised"], std::string(kind) + " labels",
                     deviations);
      }
    }
    deviations.print_and_check(file.filename());
  }
}

TEST_CASE("letterbox fractions and content windows equal YOLOv5's") {
  if (golden_files("augment").empty()) VB_SKIP("no golden/augment*.json");
  for (const auto& file : golden_files("augment")) {
    const json golden = read_json(file);
    Deviations deviations;
    for (const json& g : golden["letterbox_fractions"]) {
      const json shape = g["new_shape"].is_array() ? g["new_shape"] : json{g["new_shape"], g["new_shape"]};
      const Letterbox box =
          plan_letterbox(g["hw"][0], g["hw"][1], shape[0], shape[1], {.minimal = g["auto"], .scaleup = g["scaleup"]});
      deviations.add("ratio", as_printed(box.ratio), g["ratio"][0], 1e-12, 0);
      deviations.add("pad", box.pad_w, g["pad_dw_dh"][0], 1e-12, 0);
      deviations.add("pad", box.pad_h, g["pad_dw_dh"][1], 1e-12, 0);
      deviations.add("output size", box.top + box.content_h + box.bottom, g["out_hw"][0], 0, 0);
      deviations.add("output size", box.left + box.content_w + box.right, g["out_hw"][1], 0, 0);
      deviations.add("content", box.top, g["content_rows"][0], 0, 0);
      deviations.add("content", box.top + box.content_h, g["content_rows"][1], 0, 0);
      deviations.add("content", box.left, g["content_cols"][0], 0, 0);
      deviations.add("content", box.left + box.content_w, g["content_cols"][1], 0, 0);
    }
    deviations.print_and_check(file.filename());
  }
}
