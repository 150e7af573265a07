#include "plots/canvas.h"

#include <png.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace valbench::plots {
namespace {

constexpr int kScale = 2;        // the canvas is drawn this much larger
constexpr int kShift = 4;        // OpenCV's fixed-point coordinates: 1/16 pixel
constexpr double kCapital = 21;  // height of a Hershey capital at scale 1
constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;

cv::Scalar scalar(Color color) { return {double(color.r), double(color.g), double(color.b)}; }

cv::Point fixed(Point point) {
  const double unit = kScale * (1 << kShift);
  // The centre of a pixel of the large canvas is its integer coordinate.
  const auto clamped = [&](double v) {
    return static_cast<int>(std::lround(std::clamp(v, -1e4, 1e5) * unit - (1 << kShift) / 2));
  };
  return {clamped(point.x), clamped(point.y)};
}

int stroke(double thickness) { return std::max(1, static_cast<int>(std::lround(thickness * kScale))); }

int text_stroke(const TextStyle& style) {
  const double regular = style.size * kScale / 9;
  return std::max(1, static_cast<int>(std::lround(style.bold ? regular * 1.35 : regular)));
}

double text_scale(const TextStyle& style) { return style.size * kScale / kCapital; }

/// Hershey fonts are ASCII; every other character becomes one question mark.
std::string drawable(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 32 && byte < 127)
      out += c;
    else if (byte < 32 || byte >= 0xC0)
      out += '?';
  }
  return out;
}

cv::Rect scaled(Rect area, const cv::Mat& within) {
  const auto round = [](double v) { return static_cast<int>(std::lround(v * kScale)); };
  const cv::Rect rect(round(area.x), round(area.y), round(area.x + area.w) - round(area.x),
                      round(area.y + area.h) - round(area.y));
  return rect & cv::Rect(0, 0, within.cols, within.rows);
}

}  // namespace

Color class_color(std::size_t index) {
  static constexpr std::array<Color, 10> picked{{{37, 99, 235},
                                                 {220, 38, 38},
                                                 {5, 150, 105},
                                                 {217, 119, 6},
                                                 {124, 58, 237},
                                                 {8, 145, 178},
                                                 {219, 39, 119},
                                                 {101, 163, 13},
                                                 {71, 85, 105},
                                                 {146, 64, 14}}};
  if (index < picked.size()) return picked[index];
  const double hue = std::fmod(static_cast<double>(index) * 0.6180339887, 1.0) * 6;
  const double value = index % 3 == 0 ? 0.9 : index % 3 == 1 ? 0.7 : 0.55;
  const auto channel = [&](double shift) {
    const double k = std::fmod(shift + hue, 6.0);
    return static_cast<std::uint8_t>(std::lround(255 * value * (1 - 0.8 * std::clamp(std::min(k, 4 - k), 0.0, 1.0))));
  };
  return {channel(5), channel(3), channel(1)};
}

Color mix(Color from, Color to, double share) {
  const auto channel = [&](std::uint8_t a, std::uint8_t b) {
    return static_cast<std::uint8_t>(std::lround(a + (b - a) * share));
  };
  return {channel(from.r, to.r), channel(from.g, to.g), channel(from.b, to.b)};
}

Canvas::Canvas(int width, int height, Color background)
    : width_(width), height_(height), pixels_(height * kScale, width * kScale, CV_8UC3, scalar(background)) {}

void Canvas::line(Point from, Point to, Color color, double thickness) {
  cv::line(pixels_, fixed(from), fixed(to), scalar(color), stroke(thickness), cv::LINE_AA, kShift);
}

void Canvas::polyline(std::span<const Point> points, Color color, double thickness) {
  std::vector<cv::Point> corners;
  corners.reserve(points.size());
  for (const Point& point : points) corners.push_back(fixed(point));
  if (corners.size() < 2) return;
  cv::polylines(pixels_, corners, false, scalar(color), stroke(thickness), cv::LINE_AA, kShift);
}

void Canvas::fill(Rect area, Color color, double opacity) {
  cv::Mat target = pixels_(scaled(area, pixels_));
  if (target.empty()) return;
  if (opacity >= 1) {
    target.setTo(scalar(color));
  } else {
    cv::addWeighted(target, 1 - opacity, cv::Mat(target.size(), CV_8UC3, scalar(color)), opacity, 0, target);
  }
}

void Canvas::frame(Rect area, Color color, double thickness) {
  const double half = thickness / 2;
  fill({area.x - half, area.y - half, area.w + thickness, thickness}, color);
  fill({area.x - half, area.y + area.h - half, area.w + thickness, thickness}, color);
  fill({area.x - half, area.y - half, thickness, area.h + thickness}, color);
  fill({area.x + area.w - half, area.y - half, thickness, area.h + thickness}, color);
}

void Canvas::disc(Point centre, double radius, Color color) {
  cv::circle(pixels_, fixed(centre), static_cast<int>(std::lround(radius * kScale * (1 << kShift))), scalar(color),
             cv::FILLED, cv::LINE_AA, kShift);
}

double Canvas::text_width(const std::string& text, const TextStyle& style) {
  int baseline = 0;
  return double(cv::getTextSize(drawable(text), kFont, text_scale(style), text_stroke(style), &baseline).width) /
         kScale;
}

void Canvas::text(Point at, const std::string& text, const TextStyle& style) {
  const double shift =
      style.align == Align::left ? 0 : text_width(text, style) / (style.align == Align::centre ? 2 : 1);
  const cv::Point origin(static_cast<int>(std::lround((at.x - shift) * kScale)),
                         static_cast<int>(std::lround((at.y + style.size / 2) * kScale)));
  cv::putText(pixels_, drawable(text), origin, kFont, text_scale(style), scalar(style.color), text_stroke(style),
              cv::LINE_AA);
}

void Canvas::vertical_text(Point at, const std::string& text, const TextStyle& style) {
  const int length = static_cast<int>(std::ceil(text_width(text, style) + 4)),
            thick = static_cast<int>(std::ceil(style.size * 2));
  // The ink's share of every pixel, drawn lying, turned, and blended in.
  cv::Mat lying(thick * kScale, length * kScale, CV_8UC1, cv::Scalar(0)), ink;
  cv::putText(lying, drawable(text), {2 * kScale, static_cast<int>(std::lround((thick + style.size) / 2.0 * kScale))},
              kFont, text_scale(style), cv::Scalar(255), text_stroke(style), cv::LINE_AA);
  cv::rotate(lying, ink, cv::ROTATE_90_COUNTERCLOCKWISE);
  const int left = static_cast<int>(std::lround(at.x * kScale)) - ink.cols / 2;
  const int top = static_cast<int>(std::lround(at.y * kScale)) - (style.align == Align::right ? 0 : ink.rows / 2);
  const Color color = style.color;
  for (int y = std::max(0, -top); y < ink.rows && top + y < pixels_.rows; ++y) {
    for (int x = std::max(0, -left); x < ink.cols && left + x < pixels_.cols; ++x) {
      cv::Vec3b& pixel = pixels_.at<cv::Vec3b>(top + y, left + x);
      const Color mixed = mix({pixel[0], pixel[1], pixel[2]}, color, ink.at<std::uint8_t>(y, x) / 255.0);
      pixel = {mixed.r, mixed.g, mixed.b};
    }
  }
}

void Canvas::image(const cv::Mat& rgb, Rect area) {
  cv::Mat target = pixels_(scaled(area, pixels_));
  if (target.empty()) return;
  cv::resize(rgb, target, target.size(), 0, 0, target.cols < rgb.cols ? cv::INTER_AREA : cv::INTER_LINEAR);
}

void Canvas::write(const std::filesystem::path& file) const {
  cv::Mat small;
  cv::resize(pixels_, small, {width_, height_}, 0, 0, cv::INTER_AREA);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width_);
  image.height = static_cast<png_uint_32>(height_);
  image.format = PNG_FORMAT_RGB;
  const auto stride = static_cast<png_int_32>(small.step);
  png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string content(bytes, '\0');
  if (png_image_write_to_memory(&image, content.data(), &bytes, 0, small.data, stride, nullptr) == 0) {
    throw RecordError(file.string() + ": libpng cannot encode " + std::to_string(width_) + " x " +
                      std::to_string(height_) + " pixels: " + image.message);
  }
  content.resize(bytes);
  write_atomically(file, content);
}

std::string shortened(std::string text, const TextStyle& style, double width) {
  if (Canvas::text_width(text, style) <= width) return text;
  while (text.size() > 1 && Canvas::text_width(text + "..", style) > width) text.pop_back();
  return text + "..";
}

}  // namespace valbench::plots
