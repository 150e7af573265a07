#include "comm/collective_watch.h"

#include <fmt/format.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "comm/collective_log.h"
#include "comm/rendezvous.h"

namespace valbench {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr const char* kVerdictKey = "watch/verdict";

std::string key_of(int rank) { return fmt::format("watch/{}", rank); }
Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }
std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

/// Seconds between calls, never more than `most`: time in which this process was stopped itself is no time that others did nothing.
class RunningTime {
 public:
  explicit RunningTime(double most_s) : most_s_(most_s) {}
  double lap() {
    const std::int64_t now = now_ns();
    return std::min(seconds_between(std::exchange(last_ns_, now), now), most_s_);
  }

 private:
  double most_s_;
  std::int64_t last_ns_ = now_ns();
};

}  // namespace

/// What the threads share. They hold it themselves: one that hangs in the store outlives the watch.
struct CollectiveWatch::State {
  int rank = 0, world_size = 1;
  double hang_timeout_s = 0, period_s = 0;
  Report report;
  c10::intrusive_ptr<c10d::Store> store;
  std::shared_ptr<ProcessProgress> progress = std::make_shared<ProcessProgress>();

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::shared_ptr<CollectiveLog>> logs;
  std::string verdict;
  bool stop = false, urgent = false, reported = false;
  int running = 0;             ///< Threads.
  std::uint64_t answers = 0;   ///< Of the store.

  /// Gloo ends the process from a thread of its own when a message does not fit. Here the watch still gets a word in.
  static inline std::atomic<State*> of_process = nullptr;
  [[noreturn]] static void on_terminate();

  RankStatus status(std::uint64_t beat);
  /// Sleeps for a period, or less when it is urgent; false when the watch ends.
  bool pause();
  /// What the watchers find within the time that they need to look twice.
  std::string await_verdict();
  void decide(const std::string& what);
  void publish(std::uint64_t beat);
  void exchange_statuses();
  void judge_ranks();
  void guard_store();
  std::vector<std::optional<RankStatus>> read_statuses(std::vector<char>& known);
};

RankStatus CollectiveWatch::State::status(std::uint64_t beat) {
  RankStatus status{.beat = beat, .progress = progress->count, .in_epochs = progress->in_epochs};
  if (const int phase = progress->phase; phase >= 0) status.phase = phase_name(static_cast<Phase>(phase));
  const std::lock_guard lock(mutex);
  for (const auto& log : logs) status.groups.push_back(log->status());
  return status;
}

bool CollectiveWatch::State::pause() {
  constexpr double kUrgent_s = 0.05;
  std::unique_lock lock(mutex);
  changed.wait_for(lock, std::chrono::duration<double>(urgent ? std::min(kUrgent_s, period_s) : period_s), [this] { return stop; });
  return !stop;
}

std::string CollectiveWatch::State::await_verdict() {
  std::unique_lock lock(mutex);
  if (world_size == 1) return {};
  urgent = true;
  changed.notify_all();
  // Rank 0 looks once a period; this rank's own last status may be a period old.
  const auto limit = std::chrono::duration<double>(3 * period_s + 1);
  changed.wait_for(lock, limit, [this] { return !verdict.empty() || running == 0; });
  return verdict;
}

void CollectiveWatch::State::on_terminate() {
  std::string reason = "the process was about to end itself";
  try {
    if (const auto error = std::current_exception()) std::rethrow_exception(error);
  } catch (const std::exception& error) {
    reason = error.what();
  } catch (...) {
  }
  if (State* state = of_process) {
    const std::string found = state->await_verdict();
    state->decide(found.empty() ? reason : found + ". So " + reason);
    // Back here, another thread is reporting, which ends the process: it gets the time to leave its error file.
    std::this_thread::sleep_for(std::chrono::seconds(5));
  }
  std::fprintf(stderr, "%s\n", reason.c_str());
  std::abort();
}

void CollectiveWatch::State::decide(const std::string& what) {
  {
    const std::lock_guard lock(mutex);
    verdict = what;
    if (std::exchange(reported, true)) return;
  }
  changed.notify_all();
  report(what);
}

void CollectiveWatch::State::publish(std::uint64_t beat) { store->set(key_of(rank), bytes_of(rank_status_to_json(status(beat)))); }

/// A rank other than 0: publishes its status and looks whether rank 0 has decided.
void CollectiveWatch::State::exchange_statuses() {
  for (std::uint64_t beat = 1; pause(); ++beat) {
    publish(beat);
    const bool decided = store->check({kVerdictKey});
    std::string what = decided ? text_of(store->get(kVerdictKey)) : std::string();
    const std::lock_guard lock(mutex);
    ++answers;
    if (decided) verdict = std::move(what), changed.notify_all();
  }
}

std::vector<std::optional<RankStatus>> CollectiveWatch::State::read_statuses(std::vector<char>& known) {
  std::vector<std::optional<RankStatus>> all(static_cast<std::size_t>(world_size));
  std::vector<std::string> keys;
  std::vector<std::size_t> ranks;
  for (int r = 1; r < world_size; ++r) {
    const auto index = static_cast<std::size_t>(r);
    if (known[index] == 0 && !store->check({key_of(r)})) continue;
    known[index] = 1;
    keys.push_back(key_of(r));
    ranks.push_back(index);
  }
  if (keys.empty()) return all;
  const std::vector<Bytes> values = store->multiGet(keys);
  for (std::size_t i = 0; i < ranks.size(); ++i) all[ranks[i]] = rank_status_from_json(text_of(values.at(i)));
  return all;
}

/// Rank 0: reads what all have published.
void CollectiveWatch::State::judge_ranks() {
  CollectiveJudge judge(world_size, hang_timeout_s);
  std::vector<char> known(static_cast<std::size_t>(world_size), 0);
  RunningTime time(2 * period_s);
  for (std::uint64_t beat = 1; pause(); ++beat) {
    auto all = read_statuses(known);
    all[0] = status(beat);
    const auto what = judge.look(all, time.lap());
    if (!what) continue;
    store->set(kVerdictKey, bytes_of(*what));
    // The store ends with this process: the others read it first.
    static_cast<void>(pause());
    decide(*what);
  }
}

/// A rank other than 0: does the store, and with it rank 0's process, still answer? A call that gets no answer never returns, so it is
/// not the calling thread that can tell.
void CollectiveWatch::State::guard_store() {
  RunningTime time(2 * period_s);
  double silent_s = 0, stalled_s = 0;
  std::uint64_t last_count = 0;
  for (std::uint64_t last = 0; pause();) {
    std::uint64_t now = 0;
    {
      const std::lock_guard lock(mutex);
      now = answers;
    }
    const double elapsed_s = time.lap();
    silent_s = std::exchange(last, now) == now ? silent_s + elapsed_s : 0;
    const std::uint64_t count = progress->count;
    stalled_s = std::exchange(last_count, count) == count ? stalled_s + elapsed_s : 0;
    if (silent_s < hang_timeout_s) continue;
    const std::string gone = fmt::format("rank 0, whose store has not answered for {:.1f} s: its process is stopped, or its machine is gone", silent_s);
    for (const GroupStatus& group : status(0).groups) {
      if (group.waiting_s < hang_timeout_s) continue;
      const auto call = std::find_if(group.calls.begin(), group.calls.end(), [&](const auto& c) { return c.number == group.waiting_in; });
      if (call == group.calls.end()) continue;
      decide(fmt::format("rank {} has waited for {:.1f} s in {} for {}", rank, group.waiting_s,
                         describe_call(*call, group.name, group.members), gone));
    }
    // NCCL's calls return at once: a rank then waits for its device, in no collective.
    if (progress->in_epochs && stalled_s >= hang_timeout_s) {
      decide(fmt::format("rank {} has made no progress for {:.1f} s, and neither has {}", rank, stalled_s, gone));
    }
  }
}

/// A span is a step of the main thread.
class CollectiveWatch::Spans final : public SpanListener {
 public:
  explicit Spans(std::shared_ptr<ProcessProgress> progress) : progress_(std::move(progress)) {}
  void span_begin(Phase phase, std::int64_t) noexcept override {
    if (depth_ < kDepth) open_[depth_] = static_cast<int>(phase);
    ++depth_;
    moved();
  }
  void span_end(Phase, std::int64_t) noexcept override {
    if (depth_ > 0) --depth_;
    moved();
  }
  void epoch_begin(int epoch) noexcept override { progress_->in_epochs = epoch >= 0; }

 private:
  static constexpr std::size_t kDepth = 16;
  void moved() noexcept {
    progress_->phase.store(depth_ == 0 ? -1 : open_[std::min(depth_, kDepth) - 1], std::memory_order_relaxed);
    progress_->count.fetch_add(1, std::memory_order_relaxed);
  }

  std::shared_ptr<ProcessProgress> progress_;
  std::array<int, kDepth> open_{};
  std::size_t depth_ = 0;
};

/// The phase that is reported stays the main thread's.
class CollectiveWatch::SpansBeside final : public SpanListener {
 public:
  explicit SpansBeside(std::shared_ptr<ProcessProgress> progress) : progress_(std::move(progress)) {}
  void span_begin(Phase, std::int64_t) noexcept override { progress_->count.fetch_add(1, std::memory_order_relaxed); }
  void span_end(Phase, std::int64_t) noexcept override { progress_->count.fetch_add(1, std::memory_order_relaxed); }

 private:
  std::shared_ptr<ProcessProgress> progress_;
};

CollectiveWatch::CollectiveWatch(const Rendezvous& rendezvous, double hang_timeout_s, Report report)
    : state_(std::make_shared<State>()),
      spans_(std::make_unique<Spans>(state_->progress)),
      spans_beside_(std::make_unique<SpansBeside>(state_->progress)) {
  constexpr double kShortest_s = 0.05, kLongest_s = 1;
  State& s = *state_;
  s.rank = rendezvous.rank;
  s.world_size = rendezvous.world_size;
  s.hang_timeout_s = hang_timeout_s;
  s.period_s = std::clamp(hang_timeout_s / 20, kShortest_s, kLongest_s);
  s.report = std::move(report);
  if (s.world_size == 1) return;
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(rendezvous.port);
  options.waitWorkers = false;
  s.store = c10::make_intrusive<c10d::TCPStore>(rendezvous.address, options);
  // An agent's store outlives the ranks that it starts anew, and has what the last attempt's have said.
  if (const auto prefix = agent_store_prefix()) s.store = c10::make_intrusive<c10d::PrefixStore>(*prefix, s.store);
  const auto start = [this](void (State::*work)()) {
    {
      const std::lock_guard lock(state_->mutex);
      ++state_->running;
    }
    std::thread([state = state_, work] {
      try {
        ((*state).*work)();
      } catch (const c10::Error& error) {
        // The store goes with rank 0. Whoever needs rank 0 finds out by itself.
        std::fprintf(stderr, "rank %d: the collective checker ends: %s\n", state->rank, error.what_without_backtrace());
      } catch (const std::exception& error) {
        std::fprintf(stderr, "rank %d: the collective checker ends: %s\n", state->rank, error.what());
      }
      const std::lock_guard lock(state->mutex);
      --state->running;
      state->changed.notify_all();
    }).detach();
  };
  if (s.rank != 0) s.publish(0);
  State::of_process = state_.get();
  std::set_terminate(&State::on_terminate);
  start(s.rank == 0 ? &State::judge_ranks : &State::exchange_statuses);
  if (s.rank != 0) start(&State::guard_store);
}

CollectiveWatch::~CollectiveWatch() {
  State::of_process = nullptr;
  std::unique_lock lock(state_->mutex);
  state_->stop = true;
  state_->changed.notify_all();
  // A thread without an answer from the store is left behind; it holds its state itself.
  state_->changed.wait_for(lock, std::chrono::seconds(2), [this] { return state_->running == 0; });
}

std::unique_ptr<Communicator> CollectiveWatch::watched(std::unique_ptr<Communicator> world) {
  if (state_->world_size == 1) return world;
  const LogFactory new_log = [state = state_](const std::string& group, std::vector<int> members) {
    auto log = std::make_shared<CollectiveLog>(group, std::move(members), state->progress);
    const std::lock_guard lock(state->mutex);
    state->logs.push_back(log);
    return log;
  };
  std::vector<int> all(static_cast<std::size_t>(state_->world_size));
  std::iota(all.begin(), all.end(), 0);
  return make_watched_communicator(std::move(world), new_log("world", std::move(all)), new_log);
}

SpanListener& CollectiveWatch::spans() { return *spans_; }

SpanListener& CollectiveWatch::spans_beside() { return *spans_beside_; }

std::string CollectiveWatch::verdict() { return state_->await_verdict(); }

}  // namespace valbench
