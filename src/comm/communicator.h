/// \file
/// The ranks of a run and their collectives. Tensors go over NCCL on GPUs and Gloo on CPUs; host bytes always over Gloo.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <vector>

namespace valbench {

/// When one rank entered and left one collective, for finding the waits afterwards by matching sequence numbers across ranks.
struct CollectiveEvent {
  std::int64_t begin_ns = 0, end_ns = 0;  ///< Host clock; for GPU collectives: enqueue and observed completion, or 0.
  std::int64_t bytes = 0;
  std::int32_t epoch = 0;
};

/// A collective under way. wait() orders the current stream (GPU) or blocks (CPU) until it is done.
class PendingCollective {
 public:
  virtual ~PendingCollective() = default;
  virtual void wait() = 0;
};

/// Keys and values that every rank sees, over a connection of its own: a wait holds nobody else up. One thread at a time.
class KeyStore {
 public:
  virtual ~KeyStore() = default;
  virtual void set(const std::string& key, const std::string& value) = 0;
  /// The value, or nothing while nobody has set it. Never blocks.
  virtual std::optional<std::string> look_up(const std::string& key) = 0;
  /// Blocks until somebody has set it.
  virtual std::string wait_for(const std::string& key) = 0;
};

/// Where a collective is called from: what the collective checker reports.
using CallSite = std::source_location;

/// Every rank issues the same sequence of collectives. Used by one thread only.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int world_size() const = 0;

  virtual std::unique_ptr<PendingCollective> all_reduce_sum(at::Tensor tensor,  ///< In place, contiguous.
                                                            CallSite site = CallSite::current()) = 0;
  virtual void broadcast(at::Tensor tensor, int root, CallSite site = CallSite::current()) = 0;
  virtual void barrier(CallSite site = CallSite::current()) = 0;
  /// Every rank's bytes, on `root` only (empty elsewhere); index = rank.
  virtual std::vector<std::vector<std::byte>> gather_bytes(std::span<const std::byte> bytes, int root,
                                                           CallSite site = CallSite::current()) = 0;
  /// Root's bytes on every rank.
  virtual std::vector<std::byte> broadcast_bytes(std::span<const std::byte> bytes, int root, CallSite site = CallSite::current()) = 0;

  /// Gradient collectives since the last call, in order. Empty for one rank.
  virtual std::vector<CollectiveEvent> take_events() = 0;
  virtual void set_epoch(int epoch) = 0;

  /// A communicator over some of the ranks, with connections of its own, so that another thread may use it. Its ranks are the places in
  /// `members`. Called by exactly the members, with a name that no other group has; belongs to this communicator.
  /// \param host_only Gloo alone, also on GPUs: for host bytes beside a training that uses NCCL.
  virtual Communicator& make_group(const std::string& name, const std::vector<int>& members, bool host_only = false) = 0;
  virtual std::unique_ptr<KeyStore> open_store() = 0;
};

/// Where the ranks meet, from the environment of the launcher (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT; SLURM_*; OMPI_*).
struct Rendezvous {
  int rank = 0, world_size = 1, local_rank = 0;
  std::string address = "127.0.0.1";
  int port = 0;
  double timeout_s = 300;  ///< A rank that has not come by then is given up.
  int listen_fd = -1;  ///< Rank 0: an already listening socket handed down by the controller; -1 = bind `port`.
};

/// One rank alone: every collective is the identity.
std::unique_ptr<Communicator> make_single_communicator();
/// c10d over TCPStore: Gloo, and NCCL on top when `device` is a GPU. Time-out 3 h: rank 0's validation may be long.
std::unique_ptr<Communicator> make_c10d_communicator(const Rendezvous& rendezvous, c10::Device device);

}  // namespace valbench
