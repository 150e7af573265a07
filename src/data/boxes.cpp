#include "data/boxes.h"

#include <algorithm>

namespace valbench {

std::vector<PixelBox> to_pixels(const std::vector<LabelRow>& rows, double w, double h, double pad_w, double pad_h) {
  const auto fw = static_cast<float>(w), fh = static_cast<float>(h);
  const auto px = static_cast<float>(pad_w), py = static_cast<float>(pad_h);
  std::vector<PixelBox> boxes;
  boxes.reserve(rows.size());
  for (const LabelRow& r : rows) {
    boxes.push_back({r.cls, fw * (r.x - r.w / 2) + px, fh * (r.y - r.h / 2) + py, fw * (r.x + r.w / 2) + px,
                     fh * (r.y + r.h / 2) + py});
  }
  return boxes;
}

std::vector<LabelRow> to_normalised(const std::vector<PixelBox>& boxes, int w, int h) {
  constexpr double kInside = 1e-3;
  const auto right = static_cast<float>(w - kInside), bottom = static_cast<float>(h - kInside);
  const auto fw = static_cast<float>(w), fh = static_cast<float>(h);
  std::vector<LabelRow> rows;
  rows.reserve(boxes.size());
  for (const PixelBox& b : boxes) {
    const float x1 = std::clamp(b.x1, 0.0F, right), x2 = std::clamp(b.x2, 0.0F, right);
    const float y1 = std::clamp(b.y1, 0.0F, bottom), y2 = std::clamp(b.y2, 0.0F, bottom);
    rows.push_back({b.cls, (x1 + x2) / 2 / fw, (y1 + y2) / 2 / fh, (x2 - x1) / fw, (y2 - y1) / fh});
  }
  return rows;
}

}  // namespace valbench
