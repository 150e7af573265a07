// The decorator that writes every collective of a communicator to a log, for the collective checker.
#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <new>
#include <string_view>
#include <utility>

#include "comm/collective_error.h"
#include "comm/collective_log.h"

namespace valbench {
namespace {

/// Runs `work`; what goes wrong in it names the collective. The log keeps the rank in it, for that is where it ended. Lack of memory is
/// this rank's own affair and passes unchanged.
template <class Work>
void naming_the_collective(const CollectiveLog& log, const Work& work) {
  const auto name = [&log](const char* reason) { return log.current() + " failed: " + reason; };
  try {
    work();
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const c10::Error& error) {
    // LibTorch's CPU allocator has no exception of its own.
    if (std::string_view(error.what_without_backtrace()).find("DefaultCPUAllocator") != std::string_view::npos) throw;
    throw CollectiveError(name(error.what_without_backtrace()));
  } catch (const std::exception& error) {
    throw CollectiveError(name(error.what()));
  }
}

class WatchedPending final : public PendingCollective {
 public:
  WatchedPending(std::unique_ptr<PendingCollective> inner, std::shared_ptr<CollectiveLog> log, std::uint64_t number)
      : inner_(std::move(inner)), log_(std::move(log)), number_(number) {}

  void wait() override {
    log_->wait(number_);
    naming_the_collective(*log_, [&] { inner_->wait(); });
    log_->leave();
  }

 private:
  std::unique_ptr<PendingCollective> inner_;
  std::shared_ptr<CollectiveLog> log_;
  std::uint64_t number_;
};

class WatchedCommunicator final : public Communicator {
 public:
  WatchedCommunicator(Communicator& inner, std::shared_ptr<CollectiveLog> log, LogFactory log_of_group)
      : inner_(&inner), log_(std::move(log)), log_of_group_(std::move(log_of_group)) {}
  WatchedCommunicator(std::unique_ptr<Communicator> inner, std::shared_ptr<CollectiveLog> log, LogFactory log_of_group)
      : WatchedCommunicator(*inner, std::move(log), std::move(log_of_group)) {
    owned_ = std::move(inner);
  }

  int rank() const override { return inner_->rank(); }
  int world_size() const override { return inner_->world_size(); }
  std::vector<CollectiveEvent> take_events() override { return inner_->take_events(); }
  void set_epoch(int epoch) override { inner_->set_epoch(epoch); }
  std::unique_ptr<KeyStore> open_store() override { return inner_->open_store(); }

  Communicator& make_group(const std::string& name, const std::vector<int>& members, bool host_only) override {
    Communicator& group = inner_->make_group(name, members, host_only);
    if (group.world_size() == 1) return group;
    std::vector<int> ranks;
    for (const int place : members) ranks.push_back(log_->members().at(static_cast<std::size_t>(place)));
    return *groups_.emplace_back(std::make_unique<WatchedCommunicator>(group, log_of_group_(name, std::move(ranks)), log_of_group_));
  }

  std::unique_ptr<PendingCollective> all_reduce_sum(at::Tensor tensor, CallSite site) override {
    std::unique_ptr<PendingCollective> pending;
    const std::uint64_t number = logged(of_tensor(CollectiveKind::all_reduce, tensor, -1, site),
                                        [&] { pending = inner_->all_reduce_sum(tensor, site); });
    return std::make_unique<WatchedPending>(std::move(pending), log_, number);
  }

  void broadcast(at::Tensor tensor, int root, CallSite site) override {
    logged(of_tensor(CollectiveKind::broadcast, tensor, root, site), [&] { inner_->broadcast(tensor, root, site); });
  }

  void barrier(CallSite site) override {
    logged({.kind = CollectiveKind::barrier, .site = site}, [&] { inner_->barrier(site); });
  }

  // The ranks' bytes may differ in number: that is what these two are for.
  std::vector<std::vector<std::byte>> gather_bytes(std::span<const std::byte> bytes, int root, CallSite site) override {
    std::vector<std::vector<std::byte>> all;
    logged({.kind = CollectiveKind::gather_bytes, .root = root, .site = site}, [&] { all = inner_->gather_bytes(bytes, root, site); });
    return all;
  }

  std::vector<std::byte> broadcast_bytes(std::span<const std::byte> bytes, int root, CallSite site) override {
    std::vector<std::byte> sent;
    logged({.kind = CollectiveKind::broadcast_bytes, .root = root, .site = site},
           [&] { sent = inner_->broadcast_bytes(bytes, root, site); });
    return sent;
  }

 private:
  static CollectiveLog::Call of_tensor(CollectiveKind kind, const at::Tensor& tensor, int root, const CallSite& site) {
    return {kind, static_cast<int>(tensor.scalar_type()), static_cast<std::int64_t>(tensor.nbytes()), root, site};
  }

  template <class Issue>
  std::uint64_t logged(const CollectiveLog::Call& call, const Issue& issue) {
    const std::uint64_t number = log_->enter(call);
    naming_the_collective(*log_, issue);
    log_->leave();
    return number;
  }

  std::unique_ptr<Communicator> owned_;  ///< Nothing in a group: its maker owns it.
  Communicator* inner_;
  std::shared_ptr<CollectiveLog> log_;
  LogFactory log_of_group_;
  std::vector<std::unique_ptr<Communicator>> groups_;
};

}  // namespace

std::unique_ptr<Communicator> make_watched_communicator(std::unique_ptr<Communicator> inner, std::shared_ptr<CollectiveLog> log,
                                                        LogFactory log_of_group) {
  return std::make_unique<WatchedCommunicator>(std::move(inner), std::move(log), std::move(log_of_group));
}

}  // namespace valbench
