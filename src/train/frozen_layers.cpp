#include "train/frozen_layers.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace valbench {

bool is_frozen(const std::string& name, const std::vector<int>& layers) {
  return std::any_of(layers.begin(), layers.end(), [&](int layer) { return name.starts_with(fmt::format("model.{}.", layer)); });
}

void check_frozen_layers(const DetectionModel& model, const std::vector<int>& layers) {
  if (layers.empty()) return;
  // The detection head comes last and has parameters, so the last entry's name counts the layers.
  const int last = std::stoi(model.state().back().name.substr(std::string("model.").size()));
  for (const int layer : layers) {
    if (layer > last || layer < 0) {
      throw InputError(fmt::format("freeze: {} has no layer {}. Allowed: layers 0 to {}, or a number N up to {}, which freezes layers 0 to N - 1",
                                   model.name(), layer, last, last));
    }
  }
  const bool trains = std::any_of(model.state().begin(), model.state().end(), [&](const StateEntry& entry) {
    return entry.trainable() && !is_frozen(entry.name, layers);
  });
  if (!trains) throw InputError(fmt::format("freeze: nothing of {} is left to train. Leave out a layer of 0 to {}", model.name(), last));
}

}  // namespace valbench
