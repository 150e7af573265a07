// Copy-paste and boxes from warped polygons (reference yolov5.md §5.8).
#include "data/copy_paste.h"

#include <opencv2/core.hpp>
#include <set>

#include "data/mosaic.h"
#include "data/sampler.h"
#include "tests/support/catch.h"

using namespace valbench;

namespace {

// A white square on black at the left, with its outline as label.
LabelledImage square_at_left() {
  LabelledImage out{cv::Mat(40, 60, CV_8UC3, cv::Scalar::all(0)), {{2, 5, 10, 15, 20}}, {}};
  out.image(cv::Rect(5, 10, 11, 11)) = cv::Scalar::all(255);
  out.polygons = {{{5, 10}, {15, 10}, {15, 20}, {5, 20}}};
  return out;
}

}  // namespace

TEST_CASE("a chosen instance appears mirrored, with its box and polygon") {
  LabelledImage image = square_at_left();
  copy_paste(image, {0});
  REQUIRE(image.boxes.size() == 2);
  CHECK(image.boxes[1].cls == 2);
  CHECK(image.boxes[1].x1 == 45);
  CHECK(image.boxes[1].x2 == 55);
  CHECK(image.boxes[1].y1 == 10);
  REQUIRE(image.polygons.size() == 2);
  CHECK(image.polygons[1][0] == cv::Point2f(55, 10));
  // Pixel x of the square lands on 59 - x.
  CHECK(image.image.at<cv::Vec3b>(12, 54) == cv::Vec3b::all(255));
  CHECK(image.image.at<cv::Vec3b>(12, 44) == cv::Vec3b::all(255));
  CHECK(image.image.at<cv::Vec3b>(12, 43) == cv::Vec3b::all(0));
  CHECK(image.image.at<cv::Vec3b>(12, 55) == cv::Vec3b::all(0));
  CHECK(image.image.at<cv::Vec3b>(12, 7) == cv::Vec3b::all(255));
}

TEST_CASE("an instance that would cover 30 % of a label stays where it is") {
  LabelledImage image = square_at_left();
  image.boxes.push_back({1, 52, 10, 62, 20});  // 3 of its 10 columns are covered
  image.polygons.push_back({{52, 10}, {62, 10}, {62, 20}});
  const cv::Mat before = image.image.clone();
  copy_paste(image, {0});
  CHECK(image.boxes.size() == 2);
  CHECK(cv::norm(before, image.image) == 0);
  image.boxes[1].x1 = 52.5F;  // 2.5 of 9.5
  copy_paste(image, {0});
  CHECK(image.boxes.size() == 3);
  copy_paste(image, {0});  // now the first copy is in the way
  CHECK(image.boxes.size() == 3);
}

TEST_CASE("copy-paste draws round(share * n) different instances") {
  SampleRandom random(1, 1, 1);
  CHECK(draw_copy_paste(5, 0.5, random).size() == 2);  // half to even
  CHECK(draw_copy_paste(7, 0.5, random).size() == 4);
  CHECK(draw_copy_paste(3, 0.1, random).empty());
  CHECK(draw_copy_paste(0, 1, random).empty());
  const auto all = draw_copy_paste(20, 1, random);
  CHECK(std::set<std::size_t>(all.begin(), all.end()).size() == 20);
}

TEST_CASE("a polygon is resampled to 1000 points, closed") {
  const PixelPolygon points = resample_polygon({{0, 0}, {10, 0}, {10, 20}});
  REQUIRE(points.size() == 1000);
  CHECK(points.front() == cv::Point2f(0, 0));
  CHECK(points.back() == cv::Point2f(0, 0));
  CHECK(points[333] == cv::Point2f(10, 0));
  CHECK(points[666] == cv::Point2f(10, 20));
  CHECK(points[500].x == Approx(10));
  CHECK(points[500].y == Approx(20 * (500 * 3 / 999.0 - 1)));
}

TEST_CASE("the box of a warped polygon holds what is inside the output, and nothing makes zeros") {
  const PixelPolygon square = {{-10, 10}, {20, 10}, {20, 30}, {-10, 30}};
  const WarpedBox inside = warp_polygon(square, cv::Matx33d::eye(), 50, 50, false);
  CHECK(inside.x1 < 0.2);  // the first resampled point on or right of the border
  CHECK(inside.x2 == Approx(20));
  CHECK(inside.y1 == Approx(10));
  CHECK(inside.y2 == Approx(30));
  cv::Matx33d far = cv::Matx33d::eye();
  far(0, 2) = 1000;
  const WarpedBox outside = warp_polygon(square, far, 50, 50, false);
  CHECK(outside.x2 == 0);
  CHECK(outside.y2 == 0);
}

TEST_CASE("a turned triangle's box is that of its polygon, not of its box's corners") {
  LabelledImage in{cv::Mat(100, 100, CV_8UC3, cv::Scalar::all(0)), {{0, 30, 30, 70, 70}}, {}};
  PerspectiveDraw draw;
  draw.angle_deg = 45;
  const PixelBox loose = random_perspective(in, draw, 0).boxes.at(0);
  in.polygons = {{{50, 30}, {70, 50}, {50, 70}, {30, 50}}};  // a diamond: a square once it is turned
  const PixelBox tight = random_perspective(in, draw, 0).boxes.at(0);
  CHECK(tight.x2 - tight.x1 == Approx(28.28).margin(0.2));
  CHECK(loose.x2 - loose.x1 == Approx(56.57).margin(0.2));
}

TEST_CASE("boxes beyond the last polygon are lost in a warp by polygons, and polygons of zeros are none") {
  LabelledImage in{cv::Mat(100, 100, CV_8UC3, cv::Scalar::all(0)), {{0, 30, 30, 70, 70}, {1, 10, 10, 40, 40}}, {}};
  in.polygons = {{{30, 30}, {70, 30}, {70, 70}}};
  CHECK(random_perspective(in, {}, 0).boxes.size() == 1);
  in.polygons = {{{0, 0}, {0, 0}}};
  CHECK(random_perspective(in, {}, 0).boxes.size() == 2);
}

TEST_CASE("a mosaic carries the polygons of its tiles to its canvas, clipped") {
  const std::vector<LabelRow> rows = {{0, 0.5F, 0.5F, 1, 1}};
  const std::vector<Polygon> polygons = {{{0, 0}, {1, 0}, {1, 1}}};
  const cv::Mat tile(20, 20, CV_8UC3, cv::Scalar::all(9));
  const LabelledImage canvas = mosaic_canvas(
      {{{tile, &rows, &polygons}, {tile, &rows, nullptr}, {tile, &rows, &polygons}, {tile, &rows, nullptr}}}, 20, 15, 18);
  CHECK(canvas.boxes.size() == 4);
  REQUIRE(canvas.polygons.size() == 2);
  CHECK(canvas.polygons[0][0] == cv::Point2f(0, 0));   // (-2, -5) clipped
  CHECK(canvas.polygons[0][2] == cv::Point2f(18, 15));
  CHECK(canvas.polygons[1][2] == cv::Point2f(18, 35));
}
