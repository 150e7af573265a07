#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "plots/canvas.h"
#include "plots/plots.h"

namespace valbench {
namespace {

using namespace plots;

constexpr double kMaxSide = 1920;
constexpr double kReadableSide = 400;  // smaller images are enlarged up to it, so that names do not hide them

/// The pixels as OpenCV has them: interleaved. Reads the caller's bytes only.
cv::Mat interleaved(const BatchImage& image) {
  const auto plane = static_cast<std::size_t>(image.height) * static_cast<std::size_t>(image.width);
  cv::Mat out(image.height, image.width, CV_8UC3);
  if (!image.planar) {
    std::copy(image.rgb.begin(), image.rgb.end(), out.data);
    return out;
  }
  for (std::size_t i = 0; i < plane; ++i) {
    for (std::size_t channel = 0; channel < 3; ++channel) out.data[3 * i + channel] = image.rgb[channel * plane + i];
  }
  return out;
}

void check(const BatchImage& image, std::size_t index, std::size_t classes) {
  const std::int64_t bytes = std::int64_t{3} * image.height * image.width;
  if (image.height < 1 || image.width < 1 || static_cast<std::int64_t>(image.rgb.size()) != bytes) {
    throw InputError(
        fmt::format("batch plot: image {} is {} x {} with {} bytes; it must have 3 * height * width of them", index,
                    image.height, image.width, image.rgb.size()));
  }
  for (const BatchBox& box : image.boxes) {
    if (box.cls < 0 || static_cast<std::size_t>(box.cls) >= classes) {
      throw InputError(fmt::format("batch plot: a box of image {} has class {}; allowed are 0..{}", index, box.cls,
                                   static_cast<std::int64_t>(classes) - 1));
    }
  }
}

Color readable_on(Color background) {
  return 0.299 * background.r + 0.587 * background.g + 0.114 * background.b > 150 ? kInk : kWhite;
}

/// The box on the canvas, held inside the tile.
Rect on_canvas(Rect tile, double scale, const BatchBox& box) {
  const auto inside = [](double v, double low, double size) { return std::clamp(v, low, low + size); };
  const double x1 = inside(tile.x + box.x1 * scale, tile.x, tile.w),
               x2 = inside(tile.x + box.x2 * scale, tile.x, tile.w);
  const double y1 = inside(tile.y + box.y1 * scale, tile.y, tile.h),
               y2 = inside(tile.y + box.y2 * scale, tile.y, tile.h);
  return {x1, y1, x2 - x1, y2 - y1};
}

bool drawable(const BatchBox& box) {
  return std::isfinite(box.x1) && std::isfinite(box.y1) && std::isfinite(box.x2) && std::isfinite(box.y2);
}

void draw_tag(Canvas& canvas, Rect tile, double scale, const BatchBox& box, const std::vector<std::string>& names) {
  const Rect frame = on_canvas(tile, scale, box);
  const Color color = class_color(static_cast<std::size_t>(box.cls));
  const std::string& name = names[static_cast<std::size_t>(box.cls)];
  const TextStyle style{.size = 8, .color = readable_on(color)};
  const std::string text =
      shortened(box.score < 0 ? name : fmt::format("{} {:.2f}", name, box.score), style, tile.w - 8);
  const double width = Canvas::text_width(text, style) + 8, height = 15;
  const double left = std::min(frame.x - 1, tile.x + tile.w - width);
  const double top = frame.y - height >= tile.y ? frame.y - height : frame.y;  // inside where there is no room above
  canvas.fill({left, top, width, height}, color);
  canvas.text({left + 4, top + height / 2}, text, style);
}

void draw_tile(Canvas& canvas, Rect tile, double scale, const BatchImage& image,
               const std::vector<std::string>& names) {
  const Rect area{tile.x, tile.y, image.width * scale, image.height * scale};
  canvas.image(interleaved(image), area);
  // All frames before the first name, so that no line crosses one.
  for (const BatchBox& box : image.boxes) {
    if (drawable(box)) canvas.frame(on_canvas(area, scale, box), class_color(static_cast<std::size_t>(box.cls)), 2);
  }
  for (const BatchBox& box : image.boxes) {
    if (drawable(box)) draw_tag(canvas, area, scale, box, names);
  }
  if (image.name.empty()) return;
  const TextStyle style{.size = 8, .color = kWhite};
  const std::string text = shortened(image.name, style, tile.w - 12);
  canvas.fill({tile.x, tile.y + tile.h - 18, Canvas::text_width(text, style) + 12, 18}, kInk, 0.75);
  canvas.text({tile.x + 6, tile.y + tile.h - 9}, text, style);
}

}  // namespace

void write_batch_png(const std::filesystem::path& file, std::span<const BatchImage> images,
                     const std::vector<std::string>& names) {
  images = images.first(std::min(images.size(), kMaxBatchImages));
  if (images.empty()) throw InputError("batch plot: there is no image; give at least one");
  int height = 1, width = 1;
  for (std::size_t i = 0; i < images.size(); ++i) {
    check(images[i], i, names.size());
    height = std::max(height, images[i].height), width = std::max(width, images[i].width);
  }
  const int columns = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(images.size()))));
  const int rows = (static_cast<int>(images.size()) + columns - 1) / columns;
  constexpr double gap = 4;
  const double enlarged = std::max(1.0, std::floor(kReadableSide / std::max(width, height)));
  const double scale = std::min({enlarged, (kMaxSide / columns - gap) / width, (kMaxSide / rows - gap) / height});
  const double tile_w = std::max(1.0, std::round(width * scale)), tile_h = std::max(1.0, std::round(height * scale));
  Canvas canvas(static_cast<int>(columns * (tile_w + gap) - gap), static_cast<int>(rows * (tile_h + gap) - gap));
  for (std::size_t i = 0; i < images.size(); ++i) {
    const double column = static_cast<double>(i % static_cast<std::size_t>(columns));
    const double row = std::floor(static_cast<double>(i) / columns);
    draw_tile(canvas, {column * (tile_w + gap), row * (tile_h + gap), tile_w, tile_h}, scale, images[i], names);
  }
  canvas.write(file);
}

}  // namespace valbench
