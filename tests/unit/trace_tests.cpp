#include <algorithm>
#include <random>
#include <string>

#include "tests/support/catch.h"
#include "trace/gpu_trace.h"
#include "trace/phase_timeline.h"
#include "trace/time_breakdown.h"
#include "trace/tracer.h"

using namespace valbench;

namespace {

struct Listener : SpanListener {
  std::string& log;
  char name;
  Listener(std::string& log, char name) : log(log), name(name) {}
  void span_begin(Phase phase, std::int64_t number) noexcept override { add('+', phase, number); }
  void span_end(Phase phase, std::int64_t number) noexcept override { add('-', phase, number); }
  void add(char sign, Phase phase, std::int64_t number) {
    log += std::string{name, sign} + std::string(phase_name(phase)) + std::to_string(number) + ' ';
  }
};

Span span(Phase phase, std::int64_t begin_ns, std::int64_t end_ns) { return {begin_ns, end_ns, 0, 0, phase}; }

}  // namespace

TEST_CASE("a span is summed, kept with its epoch and number, and told to all listeners, innermost last") {
  Tracer tracer(8);
  std::string log;
  Listener a(log, 'a'), b(log, 'b');
  tracer.add_listener(a);
  tracer.add_listener(b);
  tracer.set_epoch(3);
  {
    const ScopedSpan outer(tracer, Phase::train_step, 7);
    const ScopedSpan inner(tracer, Phase::train_loss, 7);
  }
  CHECK(log ==
        "a+train.step7 b+train.step7 a+train.loss7 b+train.loss7 b-train.loss7 a-train.loss7 b-train.step7 "
        "a-train.step7 ");
  REQUIRE(tracer.spans().size() == 2);
  const Span &inner = tracer.spans()[0], &outer = tracer.spans()[1];
  CHECK(inner.phase == Phase::train_loss);
  CHECK(outer.epoch == 3);
  CHECK(outer.number == 7);
  CHECK(outer.begin_ns <= inner.begin_ns);
  CHECK(inner.end_ns <= outer.end_ns);
  CHECK(tracer.sum(Phase::train_step).count == 1);
  CHECK(tracer.sum(Phase::train_step).total_ns == outer.end_ns - outer.begin_ns);
  tracer.reset_sums();
  CHECK(tracer.sum(Phase::train_step).count == 0);
}

TEST_CASE("listeners are told of every epoch before its first span") {
  struct Epochs : SpanListener {
    std::vector<int> seen;
    void span_begin(Phase, std::int64_t) noexcept override {}
    void span_end(Phase, std::int64_t) noexcept override {}
    void epoch_begin(int epoch) noexcept override { seen.push_back(epoch); }
  } epochs;
  Tracer tracer;
  tracer.add_listener(epochs);
  tracer.set_epoch(0);
  tracer.set_epoch(1);
  CHECK(epochs.seen == std::vector<int>{0, 1});
}

TEST_CASE("spans past the capacity are counted as lost, but summed") {
  Tracer tracer(2), sums_only;
  for (int i = 0; i < 5; ++i) {
    const ScopedSpan kept(tracer, Phase::val_batch, i);
    const ScopedSpan summed(sums_only, Phase::val_batch, i);
  }
  CHECK(tracer.spans().size() == 2);
  CHECK(tracer.spans().capacity() == 2);
  CHECK(tracer.lost() == 3);
  CHECK(tracer.sum(Phase::val_batch).count == 5);
  CHECK(sums_only.spans().empty());
  CHECK(sums_only.lost() == 0);
  CHECK(sums_only.sum(Phase::val_batch).count == 5);
}

TEST_CASE("a union of intervals is ascending and disjoint") {
  const auto merged = interval_union({{5, 8}, {0, 2}, {2, 3}, {7, 9}, {4, 4}, {20, 10}});
  REQUIRE(merged.size() == 2);
  CHECK(merged[0].end_ns == 3);
  CHECK(merged[1].begin_ns == 5);
  CHECK(merged[1].end_ns == 9);
  CHECK(covered_ns(merged, {1, 6}) == 3);
}

TEST_CASE("compute hides waiting and transfer, and what nothing covers is idle") {
  BusyIntervals busy;
  busy.compute = {{0, 10}};
  busy.comm_wait = {{5, 20}};
  busy.comm_transfer = {{20, 30}, {8, 9}};
  busy.memcpy = {{28, 35}};
  const TimeBreakdown parts = time_breakdown({0, 50}, busy);
  CHECK(parts.compute_ns == 10);
  CHECK(parts.comm_transfer_ns == 10);
  CHECK(parts.comm_wait_ns == 10);
  CHECK(parts.memcpy_ns == 5);
  CHECK(parts.idle_ns == 15);
}

TEST_CASE("the classes of a breakdown add up to the wall time whatever overlaps") {
  std::mt19937 random(3);
  for (int trial = 0; trial < 200; ++trial) {
    BusyIntervals busy;
    std::vector<int> owner(1000, 5);  // class of each nanosecond, by the rule itself
    int index = 0;
    for (auto* list : {&busy.compute, &busy.comm_transfer, &busy.comm_wait, &busy.memcpy}) {
      for (int i = static_cast<int>(random() % 12); i > 0; --i) {
        const auto begin = static_cast<std::int64_t>(random() % 1200) - 100;
        list->push_back({begin, begin + static_cast<std::int64_t>(random() % 90)});
        for (auto t = std::max<std::int64_t>(0, begin); t < std::min<std::int64_t>(1000, list->back().end_ns); ++t) {
          owner[static_cast<std::size_t>(t)] = std::min(owner[static_cast<std::size_t>(t)], index);
        }
      }
      ++index;
    }
    const TimeBreakdown parts = time_breakdown({0, 1000}, busy);
    const auto owned = [&](int c) { return std::count(owner.begin(), owner.end(), c); };
    CHECK(parts.wall_ns() == 1000);
    CHECK(parts.compute_ns == owned(0));
    CHECK(parts.comm_transfer_ns == owned(1));
    CHECK(parts.comm_wait_ns == owned(2));
    CHECK(parts.memcpy_ns == owned(3));
    CHECK(parts.idle_ns == owned(5));
  }
}

TEST_CASE("a rank waits in a collective until the last rank has begun it") {
  const std::vector<std::vector<Interval>> ranks = {{{0, 120}, {200, 260}}, {{100, 121}, {200, 261}, {300, 310}}};
  const auto times = collective_times(ranks);
  REQUIRE(times.size() == 2);
  CHECK(times[0].wait_ns == 100);
  CHECK(times[0].transfer_ns == 20 + 60);
  CHECK(times[0].unmatched == 0);
  CHECK(times[1].wait_ns == 0);
  CHECK(times[1].transfer_ns == 21 + 61);
  CHECK(times[1].unmatched == 1);
}

TEST_CASE("a rank that is done before the last one begins only waits") {
  const auto times = collective_times(std::vector<std::vector<Interval>>{{{0, 10}}, {{50, 60}}});
  CHECK(times[0].wait_ns == 10);
  CHECK(times[0].transfer_ns == 0);
  CHECK(times[1].transfer_ns == 10);
  CHECK(collective_times({}).empty());
}

TEST_CASE("a moment belongs to the innermost span that holds it") {
  const PhaseTimeline timeline({span(Phase::train_forward, 12, 20), span(Phase::train_backward, 20, 30),
                                span(Phase::train_step, 10, 40), span(Phase::train_epoch, 10, 90)});
  CHECK_FALSE(timeline.at(9));
  CHECK(timeline.at(10) == Phase::train_step);
  CHECK(timeline.at(12) == Phase::train_forward);
  CHECK(timeline.at(20) == Phase::train_backward);
  CHECK(timeline.at(35) == Phase::train_step);
  CHECK(timeline.at(40) == Phase::train_epoch);
  CHECK_FALSE(timeline.at(90));
  CHECK_FALSE(PhaseTimeline({}).at(0));
}

TEST_CASE("what a thread beside the main one launched belongs to that thread's phase") {
  Tracer beside(1);
  beside.set_thread(2);
  beside.end(Phase::val_forward, 0, now_ns() - 1000);
  const std::int64_t at_ns = beside.spans().front().begin_ns;
  GpuTrace trace;
  for (const std::uint32_t correlation : {1u, 2u}) {
    Activity& kernel = trace.activities.emplace_back();
    kernel.begin_ns = 100, kernel.end_ns = 200, kernel.correlation = correlation;
  }
  const std::vector<ApiCall> calls = {{.begin_ns = at_ns, .correlation = 1, .thread = 1}, {.begin_ns = at_ns, .correlation = 2, .thread = 2}};
  attribute_phases(trace, calls, {span(Phase::train_forward, 0, INT64_MAX)}, &beside);
  CHECK(trace.of(Phase::train_forward).kernels == 1);
  CHECK(trace.of(Phase::val_forward).kernels == 1);
}

TEST_CASE("activities belong to the phase that launched them, and losses are counted") {
  GpuTrace trace;
  trace.available = true;
  const auto activity = [](std::int64_t begin_ns, std::uint32_t correlation, ActivityKind kind) {
    Activity a;
    a.begin_ns = begin_ns, a.end_ns = begin_ns + 1'000'000'000, a.correlation = correlation, a.kind = kind;
    return a;
  };
  trace.activities = {activity(500, 3, ActivityKind::memcpy), activity(100, 1, ActivityKind::kernel),
                      activity(300, 2, ActivityKind::comm_kernel), activity(700, 9, ActivityKind::kernel),
                      activity(800, 4, ActivityKind::memset)};
  const std::vector<ApiCall> calls = {
      {.begin_ns = 10, .end_ns = 12, .correlation = 1, .thread = 1, .launches_kernel = true},
      {.begin_ns = 11, .end_ns = 12, .correlation = 1, .thread = 1, .driver = true, .launches_kernel = true},
      {.begin_ns = 25, .end_ns = 26, .correlation = 2, .thread = 2, .launches_kernel = true},
      {.begin_ns = 27, .end_ns = 28, .correlation = 3, .thread = 1},
      {.begin_ns = 28, .end_ns = 29, .correlation = 5, .thread = 1, .launches_kernel = true},
      {.begin_ns = 29, .end_ns = 30, .correlation = 6, .thread = 1},
      {.begin_ns = 99, .end_ns = 99, .correlation = 4, .thread = 1}};
  attribute_phases(trace, calls, {span(Phase::train_forward, 5, 20), span(Phase::train_backward, 20, 40)});
  CHECK(trace.of(Phase::train_forward).kernels == 1);
  CHECK(trace.of(Phase::train_forward).kernel_s == Approx(1));
  CHECK(trace.of(Phase::train_backward).comm_kernel_s == Approx(1));  // launched by another thread
  CHECK(trace.of(Phase::train_backward).memcpy_s == Approx(1));
  CHECK(trace.unattributed.kernels == 1);  // an orphan
  CHECK(trace.unattributed.fills == 1);    // launched outside of every span
  CHECK(trace.unattributed_share() == Approx(.4));
  CHECK(trace.losses.orphans == 1);
  CHECK(trace.losses.missing == 1);
  CHECK_FALSE(trace.complete());
  REQUIRE(trace.launches.size() == 4);  // the one without an activity and the query are left out
  CHECK_FALSE(trace.launches[0].driver);
  CHECK(trace.launches[0].begin_ns == 10);
  CHECK(trace.activities[0].launch_ns == 10);
  CHECK(collectives_of(trace).size() == 1);
  CHECK(busy_intervals(trace.activities).comm_transfer.size() == 1);
  CHECK(busy_intervals(trace.activities).memcpy.size() == 2);
}
