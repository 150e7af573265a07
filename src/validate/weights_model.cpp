#include "validate/weights_model.h"

#include <fmt/format.h>

#include "base/error.h"
#include "detect/weights/model_weights.h"

namespace valbench {

WeightsModel load_weights_model(const std::filesystem::path& file) {
  const ModelWeights weights = read_model_weights(file);
  if (weights.model_name.empty() || weights.classes < 1) {
    throw InputError(fmt::format("{}: holds weights of an unknown model. Known: yolov5n, s, m, l, x and their P6 forms", file.string()));
  }
  WeightsModel loaded{make_yolov5(weights.model_name, weights.classes, 0), weights.class_names};
  const int copied = load_matching_state(*loaded.model, weights.best());
  const std::size_t wanted = loaded.model->state().size();
  if (static_cast<std::size_t>(copied) != wanted) {
    throw InputError(fmt::format("{}: only {} of the {} tensors of {} are in it by name and shape: no complete weights file", file.string(),
                                 copied, wanted, weights.model_name));
  }
  return loaded;
}

}  // namespace valbench
