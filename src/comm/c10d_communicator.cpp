// Ranks over c10d: one TCPStore, a Gloo group for CPU tensors and host bytes, and an NCCL group for GPU tensors.
#include <ATen/ATen.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "comm/communicator.h"
#include "comm/group_timeout.h"
#include "comm/local_address.h"
#include "comm/rendezvous.h"

namespace valbench {
namespace {

constexpr std::chrono::milliseconds kGroupTimeout(static_cast<std::int64_t>(1000 * kGroupTimeout_s));
// A rank may wait for a key for as long as many epochs take. c10d keeps milliseconds in an int: 24 days at most.
constexpr std::chrono::milliseconds kKeyTimeout = std::chrono::hours(24 * 20);

/// A reduction under way. Gloo's wait() blocks until it is done; NCCL's makes the current stream wait, and would block the thread too if
/// it were given a time-out (ProcessGroupNCCL.hpp). The groups carry theirs.
class PendingWork final : public PendingCollective {
 public:
  explicit PendingWork(c10::intrusive_ptr<c10d::Work> work) : work_(std::move(work)) {}
  void wait() override { work_->wait(); }

 private:
  c10::intrusive_ptr<c10d::Work> work_;
};

at::Tensor as_tensor(std::span<const std::byte> bytes) {
  // c10d takes tensors that it may write to; a const buffer is only ever sent.
  return at::from_blob(const_cast<std::byte*>(bytes.data()), {static_cast<std::int64_t>(bytes.size())}, at::kByte);
}

class C10dStore final : public KeyStore {
 public:
  explicit C10dStore(c10::intrusive_ptr<c10d::Store> store) : store_(std::move(store)) {}
  void set(const std::string& key, const std::string& value) override {
    store_->set(name_of(key), std::vector<std::uint8_t>(value.begin(), value.end()));
  }
  std::optional<std::string> look_up(const std::string& key) override {
    if (!store_->check({name_of(key)})) return std::nullopt;
    return wait_for(key);
  }
  std::string wait_for(const std::string& key) override {
    const std::vector<std::uint8_t> value = store_->get(name_of(key));
    return {value.begin(), value.end()};
  }

 private:
  /// Apart from c10d's own keys.
  static std::string name_of(const std::string& key) { return "valbench/" + key; }

  c10::intrusive_ptr<c10d::Store> store_;
};

/// Some ranks, and where they meet.
struct Members {
  int rank = 0, world_size = 1;
  c10::intrusive_ptr<c10d::Store> store;  ///< Of these ranks alone.
  std::string address;  ///< Where this rank listens for the others.
};

class C10dCommunicator final : public Communicator {
 public:
  /// \param root the store of all ranks; connections of their own are made from it.
  C10dCommunicator(const Members& members, c10::intrusive_ptr<c10d::Store> root, c10::Device device);
  ~C10dCommunicator() override {
    if (nccl_) nccl_->shutdown();
  }

  int rank() const override { return rank_; }
  int world_size() const override { return world_size_; }
  std::unique_ptr<PendingCollective> all_reduce_sum(at::Tensor tensor, CallSite) override;
  void broadcast(at::Tensor tensor, int root, CallSite) override;
  void barrier(CallSite) override;
  std::vector<std::vector<std::byte>> gather_bytes(std::span<const std::byte> bytes, int root, CallSite) override;
  std::vector<std::byte> broadcast_bytes(std::span<const std::byte> bytes, int root, CallSite) override;
  std::vector<CollectiveEvent> take_events() override;
  void set_epoch(int epoch) override { epoch_ = epoch; }
  Communicator& make_group(const std::string& name, const std::vector<int>& members, bool host_only) override;
  std::unique_ptr<KeyStore> open_store() override {
    c10::intrusive_ptr<c10d::Store> own = root_->clone();
    own->setTimeout(kKeyTimeout);
    return std::make_unique<C10dStore>(std::move(own));
  }

 private:
  c10d::Backend& group_of(const at::Tensor& tensor) { return tensor.is_cuda() ? static_cast<c10d::Backend&>(*nccl_) : *gloo_; }

  int rank_, world_size_;
  c10::Device device_;
  std::string address_;
  std::int32_t epoch_ = 0;
  c10::intrusive_ptr<c10d::Store> root_, store_;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo_;
  c10::intrusive_ptr<c10d::ProcessGroupNCCL> nccl_;
  std::deque<std::shared_ptr<CollectiveEvent>> events_;
  std::vector<std::unique_ptr<Communicator>> groups_;
};

std::chrono::milliseconds in_milliseconds(double seconds) { return std::chrono::milliseconds(static_cast<std::int64_t>(1000 * seconds)); }

/// Rank 0 waits until all have come, and names those who have not.
void await_all(c10d::Store& store, const Rendezvous& r) {
  const auto key_of = [](int rank) { return "valbench/here/" + std::to_string(rank); };
  store.set(key_of(r.rank), std::vector<std::uint8_t>{1});
  if (r.rank != 0) return;
  std::vector<std::string> keys;
  for (int rank = 1; rank < r.world_size; ++rank) keys.push_back(key_of(rank));
  try {
    if (!keys.empty()) store.wait(keys, in_milliseconds(r.timeout_s));
  } catch (const std::exception&) {
    std::string missing;
    for (int rank = 1; rank < r.world_size; ++rank) {
      if (!store.check({key_of(rank)})) missing += (missing.empty() ? "rank " : ", rank ") + std::to_string(rank);
    }
    if (missing.empty()) throw;
    throw Error(fmt::format("{} of {} did not come to {}:{} within {:.0f} s: see whether it was started, and reaches that address",
                            missing, r.world_size, r.address, r.port, r.timeout_s));
  }
}

c10::intrusive_ptr<c10d::Store> meet(const Rendezvous& r) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(r.port);
  const auto agent = agent_store_prefix();
  options.isServer = r.rank == 0 && !agent;
  options.numWorkers = static_cast<std::size_t>(r.world_size);
  options.timeout = in_milliseconds(r.timeout_s);
  options.waitWorkers = false;  // It could not say who is missing.
  if (r.rank == 0 && r.listen_fd >= 0) options.masterListenFd = r.listen_fd;
  try {
    auto store = c10::make_intrusive<c10d::TCPStore>(r.address, options);
    if (!agent) return store;
    return c10::make_intrusive<c10d::PrefixStore>(*agent, std::move(store));
  } catch (const std::exception& error) {
    throw InputError("rank " + std::to_string(r.rank) + " cannot meet the others at " + r.address + ":" + std::to_string(r.port) +
                     ": " + c10::str(error.what()) + ". Check MASTER_ADDR and MASTER_PORT, and that the port is free");
  }
}

/// c10d's default would be the address of the host's own name, which may not resolve, or lead to this host alone.
std::vector<std::shared_ptr<gloo::transport::Device>> gloo_devices(const std::string& address) {
  std::vector<std::shared_ptr<gloo::transport::Device>> devices;
  for (const std::string& name : gloo_interfaces()) devices.push_back(c10d::ProcessGroupGloo::createDeviceForInterface(name));
  if (devices.empty()) devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(address));
  return devices;
}

C10dCommunicator::C10dCommunicator(const Members& members, c10::intrusive_ptr<c10d::Store> root, c10::Device device)
    : rank_(members.rank),
      world_size_(members.world_size),
      device_(device),
      address_(members.address),
      root_(std::move(root)),
      store_(members.store) {
  auto options = c10d::ProcessGroupGloo::Options::create(kGroupTimeout);
  options->devices = gloo_devices(address_);
  gloo_ = c10::make_intrusive<c10d::ProcessGroupGloo>(c10::make_intrusive<c10d::PrefixStore>("gloo", store_), rank_, world_size_,
                                                      options);
  if (!device.is_cuda()) return;
  auto nccl = c10d::ProcessGroupNCCL::Options::create();
  nccl->timeout = kGroupTimeout;
  nccl_ = c10::make_intrusive<c10d::ProcessGroupNCCL>(c10::make_intrusive<c10d::PrefixStore>("nccl", store_), rank_, world_size_, nccl);
}

Communicator& C10dCommunicator::make_group(const std::string& name, const std::vector<int>& members, bool host_only) {
  const auto place = std::find(members.begin(), members.end(), rank_);
  if (place == members.end()) throw Error("rank " + std::to_string(rank_) + " is no member of the group " + name);
  if (members.size() == 1) return *groups_.emplace_back(make_single_communicator());
  const Members group{static_cast<int>(place - members.begin()), static_cast<int>(members.size()),
                      c10::make_intrusive<c10d::PrefixStore>("group/" + name, store_), address_};
  return *groups_.emplace_back(
      std::make_unique<C10dCommunicator>(group, root_, host_only ? c10::Device(c10::DeviceType::CPU) : device_));
}

std::unique_ptr<PendingCollective> C10dCommunicator::all_reduce_sum(at::Tensor tensor, CallSite) {
  auto event = std::make_shared<CollectiveEvent>();
  event->bytes = static_cast<std::int64_t>(tensor.nbytes());
  event->epoch = epoch_;
  event->begin_ns = now_ns();
  events_.push_back(event);
  std::vector<at::Tensor> tensors{tensor};
  auto work = group_of(tensor).allreduce(tensors);
  // On a GPU the end is known only to the device; 0 says so.
  if (!tensor.is_cuda()) work->getFuture()->addCallback([event](c10::ivalue::Future&) { event->end_ns = now_ns(); });
  return std::make_unique<PendingWork>(std::move(work));
}

void C10dCommunicator::broadcast(at::Tensor tensor, int root, CallSite) {
  std::vector<at::Tensor> tensors{tensor};
  group_of(tensor).broadcast(tensors, {.rootRank = root})->wait();
}

void C10dCommunicator::barrier(CallSite) { gloo_->barrier()->wait(kGroupTimeout); }

std::vector<std::vector<std::byte>> C10dCommunicator::gather_bytes(std::span<const std::byte> bytes, int root, CallSite) {
  std::vector<at::Tensor> mine{at::full({1}, static_cast<std::int64_t>(bytes.size()), at::kLong)};
  std::vector<std::vector<at::Tensor>> sizes(1);
  for (int r = 0; r < world_size_; ++r) sizes[0].push_back(at::zeros({1}, at::kLong));
  gloo_->allgather(sizes, mine)->wait(kGroupTimeout);
  std::vector<std::vector<std::byte>> all;
  if (rank_ != root) {
    std::vector<at::Tensor> message{as_tensor(bytes)};
    if (!bytes.empty()) gloo_->send(message, root, /*tag=*/0)->wait(kGroupTimeout);
    return all;
  }
  for (int r = 0; r < world_size_; ++r) {
    auto& part = all.emplace_back(static_cast<std::size_t>(sizes[0][static_cast<std::size_t>(r)].item<std::int64_t>()));
    if (r == rank_) {
      part.assign(bytes.begin(), bytes.end());
    } else if (!part.empty()) {
      std::vector<at::Tensor> message{as_tensor(part)};
      gloo_->recv(message, r, /*tag=*/0)->wait(kGroupTimeout);
    }
  }
  return all;
}

std::vector<std::byte> C10dCommunicator::broadcast_bytes(std::span<const std::byte> bytes, int root, CallSite) {
  std::vector<at::Tensor> size{at::full({1}, static_cast<std::int64_t>(bytes.size()), at::kLong)};
  gloo_->broadcast(size, {.rootRank = root})->wait(kGroupTimeout);
  std::vector<std::byte> data(static_cast<std::size_t>(size[0].item<std::int64_t>()));
  if (rank_ == root) data.assign(bytes.begin(), bytes.end());
  if (data.empty()) return data;
  std::vector<at::Tensor> message{as_tensor(data)};
  gloo_->broadcast(message, {.rootRank = root})->wait(kGroupTimeout);
  return data;
}

std::vector<CollectiveEvent> C10dCommunicator::take_events() {
  std::vector<CollectiveEvent> taken;
  for (const auto& event : std::exchange(events_, {})) taken.push_back(*event);
  return taken;
}

}  // namespace

std::unique_ptr<Communicator> make_c10d_communicator(const Rendezvous& rendezvous, c10::Device device) {
  const std::string towards_meeting = address_towards(rendezvous.address, rendezvous.port);
  const c10::intrusive_ptr<c10d::Store> store = meet(rendezvous);
  await_all(*store, rendezvous);
  C10dStore addresses(store);
  const std::string own = agree_on_address(rendezvous, towards_meeting, addresses);
  store->setTimeout(kGroupTimeout);
  return std::make_unique<C10dCommunicator>(Members{rendezvous.rank, rendezvous.world_size, store, own}, store, device);
}

}  // namespace valbench
