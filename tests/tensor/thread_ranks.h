/// \file
/// Ranks as threads of one process: the same collectives as between processes, and an order of arrival that a test chooses.
#pragma once
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "comm/communicator.h"

namespace valbench::test {

/// In which order ranks come to a collective and leave it.
struct RankOrder {
  int slow = -1;          ///< A place that enters every collective after all others.
  bool reversed = false;  ///< The root of a gather sees the parts of the ranks in reverse: rank numbers say nothing about the data.
};

/// What ranks share. A rank that throws ends the waits of all others.
class ThreadWorld {
 public:
  explicit ThreadWorld(RankOrder order = {}) : order_(order) {}

  /// Runs `job` on `size` ranks and rethrows what the first of them threw.
  void run(int size, const std::function<void(Communicator&)>& job);

 private:
  friend class ThreadCommunicator;
  friend class ThreadStore;
  /// One collective under way in a group.
  struct Meeting {
    std::vector<const void*> given;
    int arrived = 0, left = 0;
  };

  void wait(std::unique_lock<std::mutex>& lock, const std::function<bool()>& done) {
    changed_.wait(lock, [&] { return failed_ || done(); });
    if (failed_) throw Error("another rank has failed");
  }

  RankOrder order_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool failed_ = false;
  std::map<std::string, Meeting> meetings_;
  std::map<std::string, std::string> values_;
};

class ThreadStore final : public KeyStore {
 public:
  explicit ThreadStore(ThreadWorld& world) : world_(world) {}
  void set(const std::string& key, const std::string& value) override {
    const std::lock_guard lock(world_.mutex_);
    world_.values_[key] = value;
    world_.changed_.notify_all();
  }
  std::optional<std::string> look_up(const std::string& key) override {
    const std::lock_guard lock(world_.mutex_);
    return world_.values_.contains(key) ? std::optional(world_.values_[key]) : std::nullopt;
  }
  std::string wait_for(const std::string& key) override {
    std::unique_lock lock(world_.mutex_);
    world_.wait(lock, [&] { return world_.values_.contains(key); });
    return world_.values_[key];
  }

 private:
  ThreadWorld& world_;
};

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(ThreadWorld& world, std::string name, int place, int size)
      : world_(world), name_(std::move(name)), place_(place), size_(size) {}
  int rank() const override { return place_; }
  int world_size() const override { return size_; }

  std::unique_ptr<PendingCollective> all_reduce_sum(at::Tensor, CallSite) override { throw Error("validation has no gradients"); }
  void broadcast(at::Tensor tensor, int root, CallSite) override {
    meet(&tensor, [&](const std::vector<const void*>& all) {
      if (place_ != root) tensor.copy_(*static_cast<const at::Tensor*>(all.at(static_cast<std::size_t>(root))));
    });
  }
  void barrier(CallSite) override {
    meet(nullptr, [](const auto&) {});
  }
  std::vector<std::vector<std::byte>> gather_bytes(std::span<const std::byte> bytes, int root, CallSite) override {
    std::vector<std::vector<std::byte>> parts;
    meet(&bytes, [&](const std::vector<const void*>& all) {
      if (place_ != root) return;
      for (const void* part : all) {
        const auto& theirs = *static_cast<const std::span<const std::byte>*>(part);
        parts.emplace_back(theirs.begin(), theirs.end());
      }
      if (world_.order_.reversed) std::reverse(parts.begin(), parts.end());
    });
    return parts;
  }
  std::vector<std::byte> broadcast_bytes(std::span<const std::byte> bytes, int root, CallSite) override {
    std::vector<std::byte> sent;
    meet(&bytes, [&](const std::vector<const void*>& all) {
      const auto& theirs = *static_cast<const std::span<const std::byte>*>(all.at(static_cast<std::size_t>(root)));
      sent.assign(theirs.begin(), theirs.end());
    });
    return sent;
  }

  std::vector<CollectiveEvent> take_events() override { return {}; }
  void set_epoch(int) override {}
  Communicator& make_group(const std::string& name, const std::vector<int>& members, bool) override {
    const auto place = std::find(members.begin(), members.end(), place_);
    return groups_.emplace_back(world_, name, static_cast<int>(place - members.begin()), static_cast<int>(members.size()));
  }
  std::unique_ptr<KeyStore> open_store() override { return std::make_unique<ThreadStore>(world_); }

 private:
  /// Enters with `mine`, reads what all gave once all are there, and leaves when all have read.
  void meet(const void* mine, const std::function<void(const std::vector<const void*>&)>& read) {
    std::unique_lock lock(world_.mutex_);
    ThreadWorld::Meeting& meeting = world_.meetings_[name_ + "/" + std::to_string(number_++)];
    meeting.given.resize(static_cast<std::size_t>(size_));
    if (place_ == world_.order_.slow) world_.wait(lock, [&] { return meeting.arrived == size_ - 1; });
    meeting.given[static_cast<std::size_t>(place_)] = mine;
    ++meeting.arrived;
    world_.changed_.notify_all();
    world_.wait(lock, [&] { return meeting.arrived == size_; });
    read(meeting.given);
    ++meeting.left;
    world_.changed_.notify_all();
    world_.wait(lock, [&] { return meeting.left == size_; });
  }

  ThreadWorld& world_;
  std::string name_;
  int place_, size_;
  std::int64_t number_ = 0;
  std::deque<ThreadCommunicator> groups_;
};

inline void ThreadWorld::run(int size, const std::function<void(Communicator&)>& job) {
  std::exception_ptr first;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      at::init_num_threads();
      ThreadCommunicator communicator(*this, "world", rank, size);
      try {
        job(communicator);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!failed_) first = std::current_exception();
        failed_ = true;
        changed_.notify_all();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (first) std::rethrow_exception(first);
}

}  // namespace valbench::test
