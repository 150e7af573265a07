// The label reader: what it accepts can be trained on as it is.
#include <cmath>

#include "data/label_file.h"
#include "tests/fuzz/fuzz_input.h"

using namespace valbench;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file(fuzz::as_text(data, size));
  fuzz::read_or_refuse([&] {
    const LabelFile labels = read_label_file(file.path());
    fuzz::require(labels.found, "the file is there");
    fuzz::require(labels.lines.size() == labels.rows.size(), "a line for every row");
    if (!labels.error.empty()) return;
    fuzz::require(labels.polygons.empty() || labels.polygons.size() == labels.rows.size(),
                  "a polygon for every row, or none");
    for (const LabelRow& row : labels.rows) {
      fuzz::require(row.cls >= 0 && row.cls == std::floor(row.cls), "a class number");
      for (const float value : {row.x, row.y, row.w, row.h})
        fuzz::require(value >= 0 && value <= 1, "a coordinate from 0 to 1");
    }
    for (const Polygon& polygon : labels.polygons) {
      for (const PolygonPoint& point : polygon)
        fuzz::require(std::isfinite(point.x) && std::isfinite(point.y), "finite corners");
    }
  });
  return 0;
}
