#include "validate/weights_model.h"

#include <fmt/format.h>

#include "base/error.h"
#include "detect/weights/stored_network.h"
#include "detect/yolov5.h"

namespace valbench {

WeightsModel load_weights_model(const std::filesystem::path& file) {
  const ModelWeights weights = read_model_weights(file);
  const StoredNetwork network = stored_network(weights, file);
  if (weights.classes < 1) throw InputError(file.string() + ": holds no detection layer, so no weights of a YOLOv5 detection model");
  WeightsModel loaded{make_yolov5(network.table, network.name, weights.classes, 0), weights.class_names};
  const int copied = load_matching_state(*loaded.model, weights.best());
  const std::size_t wanted = loaded.model->state().size();
  if (static_cast<std::size_t>(copied) != wanted) {
    throw InputError(fmt::format("{}: only {} of the {} tensors of {} are in it by name and shape: no complete weights file", file.string(),
                                 copied, wanted, network.name));
  }
  return loaded;
}

}  // namespace valbench
