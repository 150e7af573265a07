/// \file
/// A model from nothing but its weights file, for validation.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "detect/detection_model.h"

namespace valbench {

struct WeightsModel {
  std::unique_ptr<DetectionModel> model;
  std::vector<std::string> names;  ///< Of the classes, as the file has them; empty when it has none.
};

/// Builds the model that the file holds and loads every tensor of it. Throws InputError: no such file, no weights, an unknown model, a
/// tensor that is missing.
WeightsModel load_weights_model(const std::filesystem::path& file);

}  // namespace valbench
