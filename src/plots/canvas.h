/// \file
/// Anti-aliased drawing into an RGB picture. Coordinates are pixels of the finished picture, with fractions.
#pragma once
#include <filesystem>
#include <opencv2/core/mat.hpp>
#include <span>
#include <string>

namespace valbench::plots {

struct Color {
  std::uint8_t r, g, b;
};
inline constexpr Color kWhite{255, 255, 255}, kInk{31, 41, 55}, kMuted{107, 114, 128}, kGrid{229, 231, 235},
    kAccent{37, 99, 235};

/// The colour of a class: ten hand-picked ones, then hues that keep away from their neighbours.
Color class_color(std::size_t index);

/// `share` of `to`, the rest of `from`.
Color mix(Color from, Color to, double share);

struct Point {
  double x, y;
};
struct Rect {
  double x, y, w, h;
};

enum class Align { left, centre, right };

/// How text looks. `size` is the height of a capital letter.
struct TextStyle {
  double size = 9;
  Color color = kInk;
  Align align = Align::left;
  bool bold = false;
};

/// Draws at twice the size and averages at the end, which gives smoother text and lines than OpenCV's own.
class Canvas {
 public:
  Canvas(int width, int height, Color background = kWhite);

  int width() const { return width_; }
  int height() const { return height_; }

  void line(Point from, Point to, Color color, double thickness = 1);
  void polyline(std::span<const Point> points, Color color, double thickness = 1);
  void fill(Rect area, Color color, double opacity = 1);
  void frame(Rect area, Color color, double thickness = 1);
  void disc(Point centre, double radius, Color color);
  /// `at` is the left end, centre or right end of the text, vertically its middle.
  void text(Point at, const std::string& text, const TextStyle& style = {});
  /// Text that reads upwards; `at` is its centre, or its upper end with Align::right.
  void vertical_text(Point at, const std::string& text, const TextStyle& style = {});
  static double text_width(const std::string& text, const TextStyle& style);
  /// Scales RGB pixels into `area`.
  void image(const cv::Mat& rgb, Rect area);

  /// Writes the PNG by rename. Throws RecordError when that fails.
  void write(const std::filesystem::path& file) const;

 private:
  int width_, height_;
  cv::Mat pixels_;
};

/// `text` shortened with dots at its end until it fits.
std::string shortened(std::string text, const TextStyle& style, double width);

}  // namespace valbench::plots
