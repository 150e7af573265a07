/// \file
/// Copy-paste of labelled instances and boxes from polygons (reference yolov5.md §5.8).
#pragma once
#include <cstddef>
#include <vector>

#include "data/augment.h"

namespace valbench {

class SampleRandom;

/// Polygons of normalised points in pixels of a canvas: scaled by (w, h), then moved by the padding.
std::vector<PixelPolygon> polygons_to_pixels(const std::vector<Polygon>& polygons, double w, double h, double pad_w,
                                             double pad_h);

/// round(share * polygons) different instances.
std::vector<std::size_t> draw_copy_paste(std::size_t polygons, double share, SampleRandom& random);

/// Mirrors the chosen instances into the image, each where its mirrored box covers less than 30 % of every label that
/// is there by then: the pixels in the mirrored polygon come from the mirrored image, box and polygon are added.
void copy_paste(LabelledImage& image, const std::vector<std::size_t>& chosen);

/// The closed outline as 1000 points, equally many per edge.
PixelPolygon resample_polygon(const PixelPolygon& polygon);

/// The box around those points of the resampled polygon that M leaves inside the output; all 0 when there are none.
WarpedBox warp_polygon(const PixelPolygon& polygon, const cv::Matx33d& matrix, int out_h, int out_w, bool projective);

}  // namespace valbench
