#include "data/synthetic_scene.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/core.hpp>

#include "data/sampler.h"

namespace valbench {
namespace {

struct Colour {
  double r, g, b;
};

// Piecewise linear, hue in [0, 1).
Colour from_hsv(double hue, double saturation, double value) {
  const auto channel = [&](double offset) {
    double k = offset + hue * 6;
    k -= 6 * std::floor(k / 6);
    return value * (1 - saturation * std::clamp(std::min(k, 4 - k), 0.0, 1.0));
  };
  return {255 * channel(5), 255 * channel(3), 255 * channel(1)};
}

constexpr int kShapes = 8;
constexpr std::array<const char*, kShapes> kShapeNames = {"disc", "square", "triangle", "ring", "cross", "diamond", "bars", "crescent"};

// Whether a point of the unit square [-1, 1]² belongs to a shape; every shape touches all four sides or nearly so.
bool inside_shape(int shape, double x, double y) {
  const double r2 = x * x + y * y, ax = std::abs(x), ay = std::abs(y);
  if (ax > 1 || ay > 1) return false;
  switch (shape) {
    case 0: return r2 <= 1;
    case 1: return true;
    case 2: return ax <= (y + 1) / 2;
    case 3: return r2 <= 1 && r2 >= 0.3;
    case 4: return ax <= 0.34 || ay <= 0.34;
    case 5: return ax + ay <= 1;
    case 6: return ay >= 0.45 || ay <= 0.15;
    default: return r2 <= 1 && (x - 0.55) * (x - 0.55) + y * y > 0.5;
  }
}

// Brightness of a class's texture at a point: plain, stripes along either axis, or checks.
double texture(int cls, double x, double y) {
  const auto band = [](double t) { return std::fmod(std::floor((t + 1) * 2.5), 2.0) == 0 ? 1.0 : 0.62; };
  switch ((cls / 2) % 4) {
    case 0: return 1;
    case 1: return band(y);
    case 2: return band(x);
    default: return band(x) == band(y) ? 1.0 : 0.62;
  }
}

struct Object {
  int cls = 0;                      // < 0: a grey distractor without label
  int shape = 0;
  double cx = 0, cy = 0;            // centre, pixels
  double half_w = 0, half_h = 0;    // before rotation
  double cosine = 1, sine = 0;
  Colour colour{};

  double extent_x() const { return std::abs(cosine) * half_w + std::abs(sine) * half_h; }
  double extent_y() const { return std::abs(sine) * half_w + std::abs(cosine) * half_h; }
};

struct Extent {
  int left, top, right, bottom;  // half open
  double area() const { return static_cast<double>(std::max(0, right - left)) * std::max(0, bottom - top); }
};

double overlap_area(const Extent& a, const Extent& b) {
  return Extent{std::max(a.left, b.left), std::max(a.top, b.top), std::min(a.right, b.right), std::min(a.bottom, b.bottom)}.area();
}

// Smooth, nearly grey patches of several brightnesses with pixel noise.
cv::Mat make_background(int h, int w, SampleRandom& random) {
  constexpr int kCells = 4;
  std::array<std::array<Colour, kCells + 1>, kCells + 1> grid;
  const double base = random.uniform(60, 190), spread = random.uniform(10, 60), noise = random.uniform(1, 9);
  for (auto& row : grid) {
    for (Colour& c : row) {
      const double level = base + random.uniform(-spread, spread);
      c = {level + random.uniform(-12, 12), level + random.uniform(-12, 12), level + random.uniform(-12, 12)};
    }
  }
  cv::Mat image(h, w, CV_8UC3);
  for (int y = 0; y < h; ++y) {
    const double gy = (y + 0.5) * kCells / h;
    const int j = static_cast<int>(gy);
    const double fy = gy - j;
    for (int x = 0; x < w; ++x) {
      const double gx = (x + 0.5) * kCells / w;
      const int i = static_cast<int>(gx);
      const double fx = gx - i, grain = random.uniform(-noise, noise);
      const auto mix = [&](double Colour::*c) {
        const auto at = [&](int dy, int dx) { return grid[static_cast<std::size_t>(j + dy)][static_cast<std::size_t>(i + dx)].*c; };
        const double value = (at(0, 0) * (1 - fx) + at(0, 1) * fx) * (1 - fy) + (at(1, 0) * (1 - fx) + at(1, 1) * fx) * fy;
        return static_cast<unsigned char>(std::clamp(value + grain, 0.0, 255.0));
      };
      image.at<cv::Vec3b>(y, x) = {mix(&Colour::r), mix(&Colour::g), mix(&Colour::b)};
    }
  }
  return image;
}

Extent window_of(const Object& o, const cv::Mat& image) {
  const auto low = [](double v) { return std::max(0, static_cast<int>(std::floor(v)) - 1); };
  return {low(o.cx - o.extent_x()), low(o.cy - o.extent_y()), std::min(image.cols, static_cast<int>(o.cx + o.extent_x()) + 2),
          std::min(image.rows, static_cast<int>(o.cy + o.extent_y()) + 2)};
}

// Coverage of a pixel by 2x2 points, and the texture at its centre.
double coverage(const Object& o, int x, int y, double& shade) {
  int hits = 0;
  double u = 0, v = 0;
  const auto to_local = [&](double px, double py) {
    const double dx = px - o.cx, dy = py - o.cy;
    u = (o.cosine * dx + o.sine * dy) / o.half_w;
    v = (-o.sine * dx + o.cosine * dy) / o.half_h;
  };
  for (const double oy : {0.25, 0.75}) {
    for (const double ox : {0.25, 0.75}) {
      to_local(x + ox, y + oy);
      hits += inside_shape(o.shape, u, v) ? 1 : 0;
    }
  }
  to_local(x + 0.5, y + 0.5);
  shade = o.cls < 0 ? 1 : texture(o.cls, u, v);
  return hits / 4.0;
}

// The pixels that an object covers by half or more; paints them when asked to.
Extent render(const Object& o, cv::Mat& image, bool paint) {
  const Extent window = window_of(o, image);
  Extent covered{image.cols, image.rows, 0, 0};
  for (int y = window.top; y < window.bottom; ++y) {
    for (int x = window.left; x < window.right; ++x) {
      double shade = 1;
      const double share = coverage(o, x, y, shade);
      if (share >= 0.5) {
        covered = {std::min(covered.left, x), std::min(covered.top, y), std::max(covered.right, x + 1), std::max(covered.bottom, y + 1)};
      }
      if (!paint || share == 0) continue;
      auto& pixel = image.at<cv::Vec3b>(y, x);
      const std::array<double, 3> colour = {o.colour.r, o.colour.g, o.colour.b};
      for (int c = 0; c < 3; ++c) {
        pixel[c] = static_cast<unsigned char>(pixel[c] * (1 - share) + colour[static_cast<std::size_t>(c)] * shade * share);
      }
    }
  }
  return covered;
}

// COCO's mix: about two fifths small, one third medium, one quarter large; small ones stay large enough for small networks.
double draw_size(double short_side, SampleRandom& random) {
  const double smallest = std::max(9.0, 0.03 * short_side), medium = std::max(15.0, 0.08 * short_side);
  const double large = std::max(1.6 * medium, 0.22 * short_side), largest = std::max(1.2 * large, 0.6 * short_side);
  const double kind = random.uniform(), t = random.uniform();
  const auto between = [t](double a, double b) { return a + (b - a) * t * t; };  // smaller ones are more common
  return kind < 0.4 ? between(smallest, medium) : kind < 0.75 ? between(medium, large) : between(large, largest);
}

Object draw_object(const SyntheticSpec& spec, const cv::Mat& image, bool distractor, SampleRandom& random) {
  Object o;
  const double size = draw_size(std::min(image.rows, image.cols), random), stretch = random.uniform(0.75, 1.33);
  o.cls = distractor ? -1 : static_cast<int>(random.below(spec.classes));
  o.shape = distractor ? static_cast<int>(random.below(2)) : o.cls % kShapes;
  o.half_w = size * std::sqrt(stretch) / 2;
  o.half_h = size / std::sqrt(stretch) / 2;
  const double tilt = random.uniform(-0.25, 0.25), length = std::sqrt(1 + tilt * tilt);
  o.cosine = 1 / length;
  o.sine = tilt / length;
  o.cx = random.uniform(o.extent_x(), std::max(o.extent_x(), image.cols - o.extent_x()));
  o.cy = random.uniform(o.extent_y(), std::max(o.extent_y(), image.rows - o.extent_y()));
  const double hue = (o.cls + random.uniform(-0.2, 0.2)) / spec.classes;
  o.colour = distractor ? from_hsv(0, 0, random.uniform(0.1, 0.9)) : from_hsv(hue, random.uniform(0.6, 0.95), random.uniform(0.6, 0.98));
  return o;
}

int draw_count(double mean, SampleRandom& random) {
  constexpr double kBackgroundShare = 0.03;
  constexpr int kMost = 200;
  const double some = std::min(1 - kBackgroundShare, mean);
  if (random.uniform() >= some) return 0;
  const double more = mean / some - 1;  // mean of the geometric part beyond the first object
  int count = 1;
  while (count < kMost && random.uniform() < more / (1 + more)) ++count;
  return count;
}

cv::Size draw_image_size(const SyntheticSpec& spec, SampleRandom& random) {
  const double kind = random.uniform();
  const auto scaled = [](int side) { return std::max(32, side * 4 / 5); };
  if (!spec.vary || kind < 0.45) return {spec.width, spec.height};
  if (kind < 0.65) return {spec.height, spec.width};
  if (kind < 0.80) return {spec.width, scaled(spec.height)};
  if (kind < 0.90) return {scaled(spec.width), spec.height};
  return {std::min(spec.width, spec.height), std::min(spec.width, spec.height)};
}

}  // namespace

std::string synthetic_class_name(int cls) {
  const std::string shape = kShapeNames[static_cast<std::size_t>(cls % kShapes)];
  return cls < kShapes ? shape : shape + "-" + std::to_string(cls / kShapes + 1);
}

SyntheticScene make_scene(const SyntheticSpec& spec, SampleRandom& random) {
  constexpr int kTries = 12;
  constexpr double kMostHidden = 0.15;
  const cv::Size size = draw_image_size(spec, random);
  SyntheticScene scene{make_background(size.height, size.width, random), {}};
  for (std::int64_t i = random.below(3); i > 0; --i) render(draw_object(spec, scene.image, true, random), scene.image, true);
  std::vector<Extent> taken;
  const int count = draw_count(spec.objects_per_image, random);
  for (int i = 0; i < count; ++i) {
    for (int attempt = 0; attempt < kTries; ++attempt) {
      const Object object = draw_object(spec, scene.image, false, random);
      const Extent box = render(object, scene.image, false);
      const bool fits = box.area() > 0 && std::all_of(taken.begin(), taken.end(), [&](const Extent& other) {
        return overlap_area(box, other) <= kMostHidden * std::min(box.area(), other.area());
      });
      if (!fits) continue;
      render(object, scene.image, true);
      taken.push_back(box);
      const double w = size.width, h = size.height;
      scene.labels.push_back({static_cast<float>(object.cls), static_cast<float>((box.left + box.right) / 2.0 / w),
                              static_cast<float>((box.top + box.bottom) / 2.0 / h), static_cast<float>((box.right - box.left) / w),
                              static_cast<float>((box.bottom - box.top) / h)});
      break;
    }
  }
  return scene;
}

}  // namespace valbench
