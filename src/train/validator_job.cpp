#include "train/validator_job.h"

#include <algorithm>
#include <memory>

#include "base/cache_folder.h"
#include "data/yolo_dataset.h"
#include "detect/state_layout.h"
#include "train/device.h"
#include "train/prepare_model.h"
#include "train/rank_agreement.h"
#include "train/settle_memory.h"
#include "train/training_loss.h"
#include "validate/validation_server.h"

namespace valbench {

void share_initial_state(Communicator& world, const at::Tensor& state) { world.broadcast(state, 0); }

RankResult run_validator(const RunSpec& spec, Communicator& world, Tracer& tracer, c10::Device device) {
  const ScanOptions scan{user_cache_folder(), spec.single_cls};
  const auto dataset =
      std::make_shared<const YoloDataset>(load_yolo_dataset(read_data_config(spec.data), Split::val, std::max(1, spec.workers), scan));
  agree_on_data(world, nullptr, dataset.get());
  const std::unique_ptr<DetectionModel> model = build_model(spec, dataset->classes);
  model->to(device, at::kFloat);
  if (device.is_cuda()) use_channels_last(model->state());
  share_initial_state(world, flatten_state(model->state()));
  ValidationContext context{spec, world, tracer, dataset, *model, make_training_loss(spec, *model), device, &world};
  context.memory = settle_validation_memory(context);
  ValidationServer server(context);
  world.barrier();
  RankResult result;
  result.epochs = server.serve();
  result.invalid_reasons = server.invalid_reasons();
  result.warnings = *context.memory.warnings;
  for (EpochRecord& row : result.epochs) row.peak_memory_mib = peak_memory_mib(device);
  return result;
}

}  // namespace valbench
