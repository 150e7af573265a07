// The built-in hyperparameter sets (reference yolov5.md §3). scenarios/hyps holds the same numbers as files; a test compares.
#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "scenario/read_hyp.h"
#include "scenario/spec_fields.h"
#include "scenario/yaml_section.h"

namespace valbench {
namespace {

const std::array kSets = {"scratch-low", "scratch-med", "scratch-high", "VOC", "Objects365", "no-augmentation"};

struct Row {
  const char* key;
  std::array<double, kSets.size()> values;
};

// clang-format off: a table
constexpr Row kRows[] = {
    {"lr0",             {0.01,   0.01,   0.01,   0.00334, 0.00258, 0.01}},
    {"lrf",             {0.01,   0.1,    0.1,    0.15135, 0.17,    0.1}},
    {"momentum",        {0.937,  0.937,  0.937,  0.74832, 0.779,   0.937}},
    {"weight_decay",    {0.0005, 0.0005, 0.0005, 0.00025, 0.00058, 0.0005}},
    {"warmup_epochs",   {3.0,    3.0,    3.0,    3.3835,  1.33,    3.0}},
    {"warmup_momentum", {0.8,    0.8,    0.8,    0.59462, 0.86,    0.8}},
    {"warmup_bias_lr",  {0.1,    0.1,    0.1,    0.18657, 0.0711,  0.1}},
    {"box",             {0.05,   0.05,   0.05,   0.02,    0.0539,  0.05}},
    {"cls",             {0.5,    0.3,    0.3,    0.21638, 0.299,   0.3}},
    {"cls_pw",          {1.0,    1.0,    1.0,    0.5,     0.825,   1.0}},
    {"obj",             {1.0,    0.7,    0.7,    0.51728, 0.632,   0.7}},
    {"obj_pw",          {1.0,    1.0,    1.0,    0.67198, 1.0,     1.0}},
    {"iou_t",           {0.2,    0.2,    0.2,    0.2,     0.2,     0.2}},
    {"anchor_t",        {4.0,    4.0,    4.0,    3.3744,  3.44,    4.0}},
    {"anchors",         {0.0,    0.0,    0.0,    3.412,   3.2,     0.0}},
    {"fl_gamma",        {0.0,    0.0,    0.0,    0.0,     0.0,     0.0}},
    {"hsv_h",           {0.015,  0.015,  0.015,  0.01041, 0.0188,  0.0}},
    {"hsv_s",           {0.7,    0.7,    0.7,    0.54703, 0.704,   0.0}},
    {"hsv_v",           {0.4,    0.4,    0.4,    0.27739, 0.36,    0.0}},
    {"degrees",         {0.0,    0.0,    0.0,    0.0,     0.0,     0.0}},
    {"translate",       {0.1,    0.1,    0.1,    0.04591, 0.0902,  0.0}},
    {"scale",           {0.5,    0.9,    0.9,    0.75544, 0.491,   0.0}},
    {"shear",           {0.0,    0.0,    0.0,    0.0,     0.0,     0.0}},
    {"perspective",     {0.0,    0.0,    0.0,    0.0,     0.0,     0.0}},
    {"flipud",          {0.0,    0.0,    0.0,    0.0,     0.0,     0.0}},
    {"fliplr",          {0.5,    0.5,    0.5,    0.5,     0.5,     0.0}},
    {"mosaic",          {1.0,    1.0,    1.0,    0.85834, 1.0,     0.0}},
    {"mixup",           {0.0,    0.1,    0.1,    0.04266, 0.0,     0.0}},
    {"copy_paste",      {0.0,    0.0,    0.1,    0.0,     0.0,     0.0}},
};
// clang-format on

}  // namespace

std::vector<std::string> builtin_hyperparameter_names() { return {kSets.begin(), kSets.end()}; }

Hyperparameters builtin_hyperparameters(const std::string& name) {
  const auto found = std::find(kSets.begin(), kSets.end(), name);
  if (found == kSets.end())
    throw InputError("hyp = \"" + name + "\": unknown hyperparameter set. Allowed: " +
                     joined(builtin_hyperparameter_names()) + ", or a YAML file");
  Hyperparameters hyp;
  visit_hyperparameters(hyp, [&](const char* key, double& field) {
    const auto row = std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) { return std::strcmp(r.key, key) == 0; });
    if (row == std::end(kRows)) throw Error(std::string("hyperparameter ") + key + " is in no built-in set");
    field = row->values[static_cast<std::size_t>(found - kSets.begin())];
  });
  return hyp;
}

}  // namespace valbench
