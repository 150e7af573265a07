/// \file
/// YOLO label files (reference yolov5.md §5.2, §5.3).
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "data/yolo_dataset.h"

namespace valbench {

/// What a label file holds after verification.
struct LabelFile {
  std::vector<LabelRow> rows;
  std::vector<Polygon> polygons;  ///< Of each row, in a file of polygons; else empty.
  std::vector<int> lines;         ///< 1-based line of each row.
  bool found = false;             ///< False: there is no such file.
  std::size_t duplicates = 0;     ///< Rows removed because another one is equal.
  std::string error;              ///< `file:line: …` of the first invalid row; the image is to be left out.
};

/// The label file of an image: the last `/images/` becomes `/labels/`, the extension `.txt`.
std::filesystem::path label_path(const std::filesystem::path& image);

/// Reads and verifies a label file: 5 columns, values >= 0, coordinates <= 1. A row of more than 6 columns makes
/// the file one of polygons (class x1 y1 x2 y2 …): its rows become the boxes around them. Throws RecordError when a file that exists cannot be read.
LabelFile read_label_file(const std::filesystem::path& file);

}  // namespace valbench
