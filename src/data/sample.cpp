#include "data/sample.h"

#include <algorithm>
#include <opencv2/core.hpp>

#include "data/copy_paste.h"
#include "data/letterbox.h"
#include "data/resized_images.h"
#include "data/sampler.h"

namespace valbench {
namespace {

const ImageEntry& entry_of(const ResizedImages& images, std::int64_t index) {
  return images.dataset().images.at(static_cast<std::size_t>(index));
}

ImageGeometry original_geometry(const ResizedImages& images, std::int64_t index) {
  ImageGeometry geometry;
  geometry.image = index;
  geometry.original_h = entry_of(images, index).height;
  geometry.original_w = entry_of(images, index).width;
  return geometry;
}

LabelledImage letterboxed(const ResizedImages& images, std::int64_t index, int height, int width,
                          ImageGeometry& geometry) {
  const cv::Mat resized = images.image(index);
  const Letterbox box = plan_letterbox(resized.rows, resized.cols, height, width, {.scaleup = images.augment()});
  geometry = original_geometry(images, index);
  geometry.ratio_h = static_cast<double>(resized.rows) / geometry.original_h;
  geometry.ratio_w = static_cast<double>(resized.cols) / geometry.original_w;
  geometry.pad_w = box.pad_w;
  geometry.pad_h = box.pad_h;
  return {apply_letterbox(resized, box), to_pixels(entry_of(images, index).labels, box.ratio * resized.cols,
                                                   box.ratio * resized.rows, box.pad_w, box.pad_h),
          {}};
}

// Tile i of a mosaic, decoded as far as `region` of the canvas shows it.
MosaicTile tile_of(const ResizedImages& images, std::int64_t index, std::size_t i, cv::Point centre,
                   const cv::Rect& region) {
  const cv::Size size = images.size(index);
  const cv::Rect part = visible_part(i, size, centre, region);
  return {part.empty() ? cv::Mat() : images.part(index, part), &entry_of(images, index).labels,
          &entry_of(images, index).polygons, size};
}

LabelledImage mosaic_item(const ResizedImages& images, const MosaicDraw& draw) {
  const int side = 2 * images.imgsz(), border = -images.imgsz() / 2, out = side + 2 * border;
  cv::Rect region(0, 0, side, side);
  if (draw.copy_paste == 0) {
    region = warped_region(perspective_matrix(draw.perspective, side, side, out, out), side, side, out, out,
                           draw.perspective.projective);
  }
  // A fresh canvas for every item, and four images in memory at once, would cost more than painting them.
  thread_local cv::Mat pixels;
  pixels.create(side, side, CV_8UC3);
  LabelledImage canvas{pixels, {}, {}};
  const cv::Point centre(static_cast<int>(draw.xc), static_cast<int>(draw.yc));
  for (std::size_t i = 0; i < draw.tiles.size(); ++i)
    add_tile(canvas, i, tile_of(images, draw.tiles[i], i, centre, region), centre, region);
  clip_labels(canvas);
  if (draw.copy_paste > 0 && !canvas.polygons.empty()) {
    SampleRandom random(draw.copy_paste_key, 0, 0);
    copy_paste(canvas, draw_copy_paste(std::min(canvas.polygons.size(), canvas.boxes.size()), draw.copy_paste, random));
  }
  // Head takes boxes where only some labels have polygons; v7.0 does not look.
  if (images.compat() == Compat::head && canvas.polygons.size() != canvas.boxes.size()) canvas.polygons.clear();
  return random_perspective(canvas, draw.perspective, border);
}

PerspectiveDraw draw_perspective(const Hyperparameters& hyp, SampleRandom& random) {
  const auto around = [&](double middle, double range) { return random.uniform(middle - range, middle + range); };
  PerspectiveDraw draw;
  draw.px = around(0, hyp.perspective);
  draw.py = around(0, hyp.perspective);
  draw.angle_deg = around(0, hyp.degrees);
  draw.scale = around(1, hyp.scale);
  draw.shear_x_deg = around(0, hyp.shear);
  draw.shear_y_deg = around(0, hyp.shear);
  draw.tx = around(0.5, hyp.translate);
  draw.ty = around(0.5, hyp.translate);
  draw.projective = hyp.perspective != 0;
  return draw;
}

std::int64_t draw_partner(const PartnerPool& pool, SampleRandom& random) {
  if (pool.chosen == nullptr || pool.chosen->empty()) return random.below(pool.count);
  return (*pool.chosen)[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(pool.chosen->size())))];
}

MosaicDraw draw_mosaic(const Hyperparameters& hyp, int imgsz, std::int64_t index, const PartnerPool& pool,
                       SampleRandom& random) {
  MosaicDraw draw;
  draw.yc = random.uniform(0.5 * imgsz, 1.5 * imgsz);
  draw.xc = random.uniform(0.5 * imgsz, 1.5 * imgsz);
  draw.tiles = {index, draw_partner(pool, random), draw_partner(pool, random), draw_partner(pool, random)};
  for (std::int64_t i = 3; i > 0; --i) {
    std::swap(draw.tiles[static_cast<std::size_t>(i)], draw.tiles[static_cast<std::size_t>(random.below(i + 1))]);
  }
  if (hyp.copy_paste > 0) {
    draw.copy_paste = hyp.copy_paste;
    draw.copy_paste_key = random.next();
  }
  draw.perspective = draw_perspective(hyp, random);
  return draw;
}

// Beta(32, 32) is the distribution of the middle one of 63 uniform draws.
double draw_beta_32_32(SampleRandom& random) {
  std::array<double, 63> draws;
  for (double& draw : draws) draw = random.uniform();
  std::nth_element(draws.begin(), draws.begin() + 31, draws.end());
  return draws[31];
}

void flip(Sample& sample, bool up_down, bool left_right) {
  if (!up_down && !left_right) return;
  cv::Mat out;
  cv::flip(sample.image, out, up_down && left_right ? -1 : up_down ? 0 : 1);
  sample.image = out;
  for (LabelRow& row : sample.labels) {
    if (up_down) row.y = 1 - row.y;
    if (left_right) row.x = 1 - row.x;
  }
}

}  // namespace

ItemDraw draw_item(const Hyperparameters& hyp, int imgsz, std::int64_t index, const PartnerPool& pool,
                   SampleRandom& random) {
  ItemDraw draw;
  draw.mosaic = random.uniform() < hyp.mosaic;
  if (draw.mosaic) {
    draw.tiles = draw_mosaic(hyp, imgsz, index, pool, random);
    draw.mixup = random.uniform() < hyp.mixup;
    if (draw.mixup) {
      const std::int64_t first = pool.mixup_from_all ? random.below(pool.count) : draw_partner(pool, random);
      draw.mixup_tiles = draw_mosaic(hyp, imgsz, first, pool, random);
      draw.mixup_ratio = draw_beta_32_32(random);
    }
  } else {
    draw.perspective = draw_perspective(hyp, random);
  }
  draw.hsv = {random.uniform(-1, 1), random.uniform(-1, 1), random.uniform(-1, 1), hyp.hsv_h, hyp.hsv_s, hyp.hsv_v};
  draw.flip_ud = random.uniform() < hyp.flipud;
  draw.flip_lr = random.uniform() < hyp.fliplr;
  return draw;
}

Sample training_sample(const ResizedImages& images, std::int64_t index, const ItemDraw& draw) {
  return training_sample(images, index, draw, images.imgsz(), images.imgsz());
}

Sample training_sample(const ResizedImages& images, std::int64_t index, const ItemDraw& draw, int height, int width) {
  Sample sample;
  LabelledImage item;
  if (draw.mosaic) {
    sample.geometry = original_geometry(images, index);
    item = mosaic_item(images, draw.tiles);
    if (draw.mixup) item = mixup(item, mosaic_item(images, draw.mixup_tiles), draw.mixup_ratio);
  } else {
    item = letterboxed(images, index, height, width, sample.geometry);
    if (images.augment()) item = random_perspective(item, draw.perspective, 0);
  }
  sample.labels = to_normalised(item.boxes, width, height);
  sample.image = item.image;
  if (images.augment()) {
    augment_hsv(sample.image, draw.hsv);
    flip(sample, draw.flip_ud, draw.flip_lr);
  }
  return sample;
}

void to_planes(const cv::Mat& image, std::uint8_t* planes) {
  const std::size_t plane = image.total();
  cv::Mat out[3];
  for (std::size_t c = 0; c < 3; ++c) out[c] = cv::Mat(image.rows, image.cols, CV_8UC1, planes + c * plane);
  cv::split(image, out);
}

Sample validation_sample(const ResizedImages& images, std::int64_t index, int height, int width) {
  Sample sample;
  const LabelledImage item = letterboxed(images, index, height, width, sample.geometry);
  sample.image = item.image;
  sample.labels = to_normalised(item.boxes, width, height);
  return sample;
}

}  // namespace valbench
