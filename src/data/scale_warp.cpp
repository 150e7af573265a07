// OpenCV's bilinear warp works with source positions in 1/32 pixels and products of two weights of 5 bits. Without
// rotation a column's source position is the same in every row, so two source rows can be blended first and columns picked
// from the blend. The result is the same integer: (sum of weight * pixel + 512) >> 10, weights adding up to 1024.
#include "data/scale_warp.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <opencv2/core.hpp>
#include <opencv2/core/hal/intrin.hpp>
#include <vector>

#include "data/letterbox.h"

namespace valbench {
namespace {

constexpr int kSteps = 32, kShift = 10;  // positions between two pixels; bits of the product of two weights

// Source positions along one axis.
struct Axis {
  std::vector<int> at, step;  // the pixel before the position, and how many 32nds lie between
  int begin = 0, end = 0;     // positions between two pixels of the image
};

// `scale` and `offset` map an output coordinate to a source coordinate. `rows`: OpenCV adds the offset of a row before
// it rounds and that of a column after it.
Axis make_axis(double scale, double offset, int count, int source, bool rows) {
  constexpr int kUnit = 1 << 10, kHalfStep = kUnit / kSteps / 2;
  const int rounded_offset = cv::saturate_cast<int>(offset * kUnit) + kHalfStep;
  Axis axis;
  axis.at.resize(static_cast<std::size_t>(count));
  axis.step.resize(static_cast<std::size_t>(count));
  axis.end = count;
  for (int i = 0; i < count; ++i) {
    const int fixed = rows ? cv::saturate_cast<int>((scale * i + offset) * kUnit) + kHalfStep
                           : rounded_offset + cv::saturate_cast<int>(scale * i * kUnit);
    const int position = fixed >> 5;
    const auto n = static_cast<std::size_t>(i);
    axis.at[n] = position >> 5;
    axis.step[n] = position & (kSteps - 1);
    if (axis.at[n] < 0) axis.begin = i + 1;
    if (axis.at[n] + 1 >= source) axis.end = std::min(axis.end, i);
  }
  axis.begin = std::min(axis.begin, axis.end);
  return axis;
}

// out = a * (32 - step) + b * step
void blend_rows(const std::uint8_t* a, const std::uint8_t* b, int step, std::int16_t* out, int count) {
  int i = 0;
  const cv::v_uint16x8 weight_a = cv::v_setall_u16(static_cast<std::uint16_t>(kSteps - step)),
                       weight_b = cv::v_setall_u16(static_cast<std::uint16_t>(step));
  for (; i + 8 <= count; i += 8) {
    const cv::v_uint16x8 sum = cv::v_add_wrap(cv::v_mul_wrap(cv::v_load_expand(a + i), weight_a),
                                              cv::v_mul_wrap(cv::v_load_expand(b + i), weight_b));
    cv::v_store(out + i, cv::v_reinterpret_as_s16(sum));
  }
  for (; i < count; ++i) out[i] = static_cast<std::int16_t>(a[i] * (kSteps - step) + b[i] * step);
}

std::uint8_t blended(int left, int right, int step) {
  return static_cast<std::uint8_t>((left * (kSteps - step) + right * step + (1 << (kShift - 1))) >> kShift);
}

// One output row inside [begin, end): pixels of the blended rows, whose first element is that of column `origin`.
struct RowPicker {
  const Axis& columns;
  int origin;
  std::vector<std::int16_t> weights;  // per pixel: 32 - step and step, four times

  RowPicker(const Axis& columns, int origin) : columns(columns), origin(origin), weights(8 * columns.at.size()) {
    for (std::size_t i = 0; i < weights.size(); i += 2) {
      const int step = columns.step[i / 8];
      weights[i] = static_cast<std::int16_t>(kSteps - step);
      weights[i + 1] = static_cast<std::int16_t>(step);
    }
  }

  const std::int16_t* source(const std::int16_t* blend, int x) const {
    return blend + 3 * (columns.at[static_cast<std::size_t>(x)] - origin);
  }
  cv::v_int32x4 pixel(const std::int16_t* blend, int x) const {
    const std::int16_t* p = source(blend, x);
    cv::v_int16x8 pairs, rest;
    cv::v_zip(cv::v_load_low(p), cv::v_load_low(p + 3), pairs, rest);
    const cv::v_int32x4 half = cv::v_setall_s32(1 << (kShift - 1));
    return (cv::v_dotprod(pairs, cv::v_load(weights.data() + 8 * x)) + half) >> kShift;
  }
  void pick(const std::int16_t* blend, std::uint8_t* out, int width) const {
    int x = columns.begin;
    // Every pixel is stored with a fourth byte, which the next one overwrites: none may be the last of the row.
    for (; x + 4 <= columns.end && x + 4 < width; x += 4) {
      const cv::v_uint8x16 four = cv::v_pack_u(cv::v_pack(pixel(blend, x), pixel(blend, x + 1)),
                                               cv::v_pack(pixel(blend, x + 2), pixel(blend, x + 3)));
      std::uint8_t bytes[16];
      cv::v_store(bytes, four);
      for (int i = 0; i < 4; ++i) std::memcpy(out + 3 * (x + i), bytes + 4 * i, 4);
    }
    for (; x < columns.end; ++x) {
      const std::int16_t* p = source(blend, x);
      for (int c = 0; c < 3; ++c) out[3 * x + c] = blended(p[c], p[c + 3], columns.step[static_cast<std::size_t>(x)]);
    }
  }
};

// A pixel at the image's edge, where some of the four neighbours are padding.
void edge_pixel(const cv::Mat& image, int sx, int step_x, int sy, int step_y, std::uint8_t* out) {
  const auto value = [&](int y, int x, int c) {
    const bool inside = y >= 0 && y < image.rows && x >= 0 && x < image.cols;
    return inside ? int{image.ptr(y)[3 * x + c]} : kPaddingGrey;
  };
  for (int c = 0; c < 3; ++c) {
    const auto blend = [&](int x) { return value(sy, x, c) * (kSteps - step_y) + value(sy + 1, x, c) * step_y; };
    out[c] = blended(blend(sx), blend(sx + 1), step_x);
  }
}

}  // namespace

bool only_scales(const cv::Matx33d& m) {
  return m(0, 1) == 0 && m(1, 0) == 0 && m(2, 0) == 0 && m(2, 1) == 0 && m(2, 2) == 1 && m(0, 0) > 0 && m(1, 1) > 0;
}

cv::Mat scale_image(const cv::Mat& image, const cv::Matx33d& m, int out_h, int out_w) {
  const double inverse = 1 / (m(0, 0) * m(1, 1)), scale_x = m(1, 1) * inverse, scale_y = m(0, 0) * inverse;
  const Axis columns = make_axis(scale_x, -scale_x * m(0, 2), out_w, image.cols, false);
  const Axis rows = make_axis(scale_y, -scale_y * m(1, 2), out_h, image.rows, true);
  cv::Mat out(out_h, out_w, CV_8UC3);
  const bool any = columns.begin < columns.end;
  const int first = any ? columns.at[static_cast<std::size_t>(columns.begin)] : 0;
  const int last = any ? columns.at[static_cast<std::size_t>(columns.end - 1)] + 2 : 0;
  const int span = 3 * (last - first);
  const std::vector<std::uint8_t> padding(static_cast<std::size_t>(span), static_cast<std::uint8_t>(kPaddingGrey));
  std::vector<std::int16_t> blend(static_cast<std::size_t>(span) + 8);  // the last pixel is loaded with what follows it
  const RowPicker picker(columns, first);
  for (int y = 0; y < out_h; ++y) {
    const int sy = rows.at[static_cast<std::size_t>(y)], step = rows.step[static_cast<std::size_t>(y)];
    std::uint8_t* row = out.ptr(y);
    if (sy < -1 || sy >= image.rows) {
      std::memset(row, kPaddingGrey, static_cast<std::size_t>(out_w) * 3);
      continue;
    }
    const auto source = [&](int at) {
      return at < 0 || at >= image.rows ? padding.data() : image.ptr(at) + 3 * first;
    };
    blend_rows(source(sy), source(sy + 1), step, blend.data(), span);
    picker.pick(blend.data(), row, out_w);
    for (int x = 0; x < out_w; ++x) {
      if (x == columns.begin) x = columns.end;
      if (x == out_w) break;
      const auto i = static_cast<std::size_t>(x);
      edge_pixel(image, columns.at[i], columns.step[i], sy, step, row + 3 * x);
    }
  }
  return out;
}

}  // namespace valbench
