// One rank alone: every collective is the identity.
#include "comm/communicator.h"

namespace valbench {
namespace {

class Done final : public PendingCollective {
 public:
  void wait() override {}
};

class SingleCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int world_size() const override { return 1; }
  std::unique_ptr<PendingCollective> all_reduce_sum(at::Tensor) override { return std::make_unique<Done>(); }
  void broadcast(at::Tensor, int) override {}
  void barrier() override {}
  std::vector<std::vector<std::byte>> gather_bytes(std::span<const std::byte> bytes, int) override {
    return {{bytes.begin(), bytes.end()}};
  }
  std::vector<std::byte> broadcast_bytes(std::span<const std::byte> bytes, int) override { return {bytes.begin(), bytes.end()}; }
  std::vector<CollectiveEvent> take_events() override { return {}; }
  void set_epoch(int) override {}
};

}  // namespace

std::unique_ptr<Communicator> make_single_communicator() { return std::make_unique<SingleCommunicator>(); }

}  // namespace valbench
