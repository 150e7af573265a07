/// \file
/// One image of the synthetic data set: objects of several classes before a varied background.
#pragma once
#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "data/yolo_dataset.h"
#include "scenario/run_spec.h"

namespace valbench {

class SampleRandom;

/// An image (RGB, HWC) and its labels, normalised.
struct SyntheticScene {
  cv::Mat image;
  std::vector<LabelRow> labels;
};

/// Name of a class: its shape, with a number where a shape is used more than once (`disc`, `ring-2`).
std::string synthetic_class_name(int cls);

/// Draws a scene. Only +, -, *, / and sqrt are used, so that the same draws give the same pixels on every machine.
SyntheticScene make_scene(const SyntheticSpec& spec, SampleRandom& random);

}  // namespace valbench
