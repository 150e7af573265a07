#include "tests/process/rank_training.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include "detect/detection_loss.h"
#include "detect/detection_model.h"
#include "train/gradient_sync.h"
#include "train/parameter_store.h"
#include "train/sgd.h"

namespace valbench::test {
namespace {

constexpr int kClasses = 3, kSize = 64, kRows = 4, kSteps = 2, kMicroBatches = 3;
const StepRates kRates{.lr = {0.02, 0.01, 0.01}, .momentum = 0.9};

/// A model in flat buffers, its loss and optimizer.
struct Trainee {
  // Another seed per rank: only the broadcast makes the ranks equal.
  explicit Trainee(std::uint64_t seed)
      : model(make_yolov5("yolov5n", kClasses, seed)),
        store(*model),
        loss(scaled_loss_gains(Hyperparameters(), 0, 3, kClasses, kSize), kClasses, model->anchors()),
        sgd(store, 5e-4) {}

  /// Forward pass and loss of the sub-batch of one rank.
  at::Tensor objective(int rank, int step, int micro) {
    at::Generator random = at::make_generator<at::CPUGeneratorImpl>(static_cast<std::uint64_t>(1 + rank + 10 * micro + 100 * step));
    const at::Tensor images = at::rand({kRows, 3, kSize, kSize}, random);
    at::Tensor targets = at::rand({2 * kRows, 6}, random);
    targets.select(1, 0).mul_(kRows).floor_();
    targets.select(1, 1).mul_(kClasses).floor_();
    targets.slice(1, 4).mul_(0.5).add_(0.1);
    return loss(model->forward(images, /*training=*/true), targets).total;
  }

  void optimize() {
    const c10::NoGradGuard no_gradients;
    norm = clip_gradient_norm(store.gradients(), 10.0).item<double>();
    sgd.step(kRates, std::nullopt);
    store.zero_gradients();
  }

  TrainedState result() const { return {store.parameters().clone(), store.buffers().clone(), initial, norm}; }

  std::unique_ptr<DetectionModel> model;
  ParameterStore store;
  DetectionLoss loss;
  Sgd sgd;
  at::Tensor initial;
  double norm = 0;
};

void start_equal(Trainee& trainee, Communicator& communicator) {
  const c10::NoGradGuard no_gradients;
  communicator.broadcast(trainee.store.state(), 0);
  trainee.initial = trainee.store.parameters().clone();
}

c10::intrusive_ptr<c10d::ProcessGroup> make_process_group(const Rendezvous& r) {
  c10d::TCPStoreOptions store_options;
  store_options.port = static_cast<std::uint16_t>(r.port);
  store_options.isServer = r.rank == 0;
  store_options.numWorkers = static_cast<std::size_t>(r.world_size);
  if (r.rank == 0 && r.listen_fd >= 0) store_options.masterListenFd = r.listen_fd;
  auto store = c10::make_intrusive<c10d::TCPStore>(r.address, store_options);
  auto options = c10d::ProcessGroupGloo::Options::create();
  options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1"));
  auto gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(store, r.rank, r.world_size, options);
  auto group = c10::make_intrusive<c10d::ProcessGroup>(store, r.rank, r.world_size);
  group->setBackend(c10::DeviceType::CPU, c10d::ProcessGroup::BackendType::GLOO, gloo);
  group->setDefaultBackend(c10d::ProcessGroup::BackendType::GLOO);
  return group;
}

void broadcast(c10d::ProcessGroup& group, const at::Tensor& tensor) {
  const c10::NoGradGuard no_gradients;
  std::vector<at::Tensor> tensors{tensor};
  group.broadcast(tensors)->wait();
}

}  // namespace

TrainedState train_ranks(Communicator& communicator, bool reduce_every_micro_batch) {
  Trainee trainee(static_cast<std::uint64_t>(communicator.rank()));
  start_equal(trainee, communicator);
  GradientReducer reducer(trainee.store, communicator);
  for (int step = 0; step < kSteps; ++step) {
    for (int micro = 0; micro < kMicroBatches; ++micro) {
      communicator.broadcast(trainee.store.buffers(), 0);
      const at::Tensor objective = trainee.objective(communicator.rank(), step, micro) * communicator.world_size();
      reducer.arm(reduce_every_micro_batch || micro + 1 == kMicroBatches);
      objective.backward();
      reducer.finish();
    }
    trainee.optimize();
  }
  return trainee.result();
}

TrainedState train_with_ddp_reducer(const Rendezvous& rendezvous) {
  const auto group = make_process_group(rendezvous);
  Trainee trainee(static_cast<std::uint64_t>(rendezvous.rank));
  broadcast(*group, trainee.store.state());
  trainee.initial = trainee.store.parameters().clone();
  std::vector<at::Tensor> parameters;
  for (const StateEntry& entry : trainee.model->state()) {
    if (entry.trainable()) parameters.push_back(entry.tensor);
  }
  const std::vector<at::Tensor> reversed(parameters.rbegin(), parameters.rend());
  const std::vector<std::size_t> caps = {1 << 20, 25 << 20};
  auto [buckets, limits] = c10d::compute_bucket_assignment_by_size(reversed, caps);
  for (auto& bucket : buckets) {
    for (std::size_t& index : bucket) index = parameters.size() - 1 - index;
  }
  c10d::Reducer reducer(parameters, buckets, group, std::vector<bool>(parameters.size(), false), 25 << 20, false, false, {}, 1 << 20,
                        false, false, {});
  for (int step = 0; step < kSteps; ++step) {
    for (int micro = 0; micro < kMicroBatches; ++micro) {
      broadcast(*group, trainee.store.buffers());
      reducer.prepare_for_forward();
      const at::Tensor objective = trainee.objective(rendezvous.rank, step, micro) * rendezvous.world_size;
      reducer.prepare_for_backward({objective});
      objective.backward();
    }
    trainee.optimize();
  }
  return trainee.result();
}

TrainedState train_alone(int ranks) {
  Trainee trainee(0);
  const c10::NoGradGuard no_gradients;
  trainee.initial = trainee.store.parameters().clone();
  for (int step = 0; step < kSteps; ++step) {
    for (int micro = 0; micro < kMicroBatches; ++micro) {
      const at::Tensor before = trainee.store.buffers().clone();
      at::Tensor rank0;
      for (int rank = 0; rank < ranks; ++rank) {
        trainee.store.buffers().copy_(before);
        const c10::AutoGradMode gradients(true);
        trainee.objective(rank, step, micro).backward();
        if (rank == 0) rank0 = trainee.store.buffers().clone();
      }
      trainee.store.buffers().copy_(rank0);
    }
    trainee.optimize();
  }
  return trainee.result();
}

}  // namespace valbench::test
