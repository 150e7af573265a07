// The judge of the collective checker on made-up statuses, and the log that feeds it.
#include "comm/collective_status.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "comm/collective_error.h"
#include "comm/collective_log.h"
#include "tests/support/catch.h"

using namespace valbench;
using Catch::Contains;

namespace {

constexpr double kTimeout_s = 10, kTick_s = 1;

CollectiveCall call(std::uint64_t number, const std::string& name, std::int64_t bytes = 8) {
  return {number, name, "Float", bytes, 0, "src/train/somewhere.cpp:" + std::to_string(number), 0};
}

/// Ranks of one group that have all issued one broadcast.
struct Ranks {
  std::vector<std::optional<RankStatus>> all;
  explicit Ranks(int count) {
    std::vector<int> members;
    for (int r = 0; r < count; ++r) members.push_back(r);
    for (int r = 0; r < count; ++r) {
      all.push_back(RankStatus{.phase = "val.batch", .in_epochs = true, .groups = {{"world", members, 1, 0, 0, {call(1, "broadcast")}, {}}}});
    }
  }
  RankStatus& rank(std::size_t r) { return *all.at(r); }
  GroupStatus& group(std::size_t r) { return rank(r).groups.at(0); }
  void wait(std::size_t r) {
    group(r).calls.push_back(call(++group(r).issued, "barrier"));
    group(r).waiting_in = group(r).issued;
  }
  /// A second passes: watchers beat, who waits waits longer.
  void tick() {
    for (auto& status : all) {
      ++status->beat;
      for (GroupStatus& group : status->groups) group.waiting_s += group.waiting_in > 0 ? kTick_s : 0;
    }
  }
};

/// What the judge says within `seconds`, `each` called in every one.
template <class Each>
std::string judge(Ranks& ranks, int seconds, const Each& each) {
  CollectiveJudge judge(static_cast<int>(ranks.all.size()), kTimeout_s);
  for (int s = 0; s < seconds; ++s) {
    ranks.tick();
    each();
    if (const auto what = judge.look(ranks.all, kTick_s)) return *what;
  }
  return {};
}

}  // namespace

TEST_CASE("ranks that wait for one that goes on from batch to batch do not hang, however long it takes") {
  Ranks ranks(3);
  ranks.wait(1), ranks.wait(2);
  CHECK(judge(ranks, 1000, [&] { ++ranks.rank(0).progress; }).empty());
}

TEST_CASE("ranks that wait for one that stands still hang, and the report says who waits where for whom since when") {
  Ranks ranks(3);
  ranks.wait(1), ranks.wait(2);
  const std::string report = judge(ranks, 30, [] {});
  CHECK_THAT(report, Contains("rank 1 has waited for 11.0 s in barrier number 2 of group world (8 bytes of Float, root 0, "
                              "src/train/somewhere.cpp:2) for rank 0, which has made no progress for 10.0 s in phase val.batch; its last was "
                              "broadcast number 1"));
  CHECK_THAT(report, Contains("rank 2 has waited") && Contains("hang_timeout (10 s)"));
}

TEST_CASE("a rank whose watcher falls silent is stopped, even before the first epoch") {
  Ranks ranks(2);
  ranks.rank(1).in_epochs = ranks.rank(0).in_epochs = false;
  ranks.wait(0);
  CHECK_THAT(judge(ranks, 30, [&] { --ranks.rank(1).beat; }),
             Contains("for rank 1, which has not been heard of for 10.0 s and was in phase val.batch: its process is stopped"));
}

TEST_CASE("a rank that has not begun its first epoch is busy for as long as its watcher is heard of") {
  Ranks ranks(2);
  ranks.rank(1).in_epochs = false;
  ranks.wait(0);
  CHECK(judge(ranks, 1000, [] {}).empty());
  ranks.rank(1).in_epochs = true;
  CHECK_FALSE(judge(ranks, 30, [] {}).empty());
}

TEST_CASE("who waits for a rank that itself waits for a busy one does not hang; when that one stops, all are named") {
  Ranks ranks(3);
  ranks.wait(1);
  GroupStatus pair{"validate", {1, 2}, 1, 1, 0, {call(1, "broadcast")}, {}};
  ranks.rank(1).groups.push_back(pair);
  pair.issued = pair.waiting_in = 0, pair.calls.clear();
  ranks.rank(2).groups.push_back(pair);
  ranks.group(1).waiting_in = 0, ranks.group(1).issued = 1, ranks.group(1).calls.pop_back();
  ranks.wait(0), ranks.wait(2);
  ranks.group(2).waiting_in = 0;  // Rank 2 has been in that barrier and computes.
  CHECK(judge(ranks, 200, [&] { ++ranks.rank(2).progress; }).empty());
  const std::string report = judge(ranks, 30, [] {});
  CHECK_THAT(report, Contains("rank 0 has waited") && Contains("for rank 1, which has waited") && Contains("number 1 of group validate"));
  CHECK_THAT(report, Contains("for rank 2, which has made no progress"));
}

TEST_CASE("ranks that have all come and do not get out of a collective hang") {
  Ranks ranks(2);
  ranks.wait(0), ranks.wait(1);
  CHECK_THAT(judge(ranks, 30, [] {}), Contains("rank 0 has waited") && Contains("for rank 1, which has waited"));
}

TEST_CASE("a rank that was never heard of is named") {
  Ranks ranks(2);
  ranks.wait(0);
  CollectiveJudge judge(2, kTimeout_s);
  std::optional<std::string> report;
  for (int s = 0; s < 30 && !report; ++s) {
    ranks.tick();
    report = judge.look({ranks.all[0], std::nullopt}, kTick_s);
  }
  REQUIRE(report);
  CHECK_THAT(*report, Contains("for rank 1, which was never heard of"));
}

TEST_CASE("collectives of another name, size, type or root at the same number are a mismatch at once") {
  CollectiveCall other = call(1, "broadcast");
  std::string said;
  SECTION("name") { other.name = said = "barrier"; }
  SECTION("size") { other.bytes = 16, said = "16 bytes of Float"; }
  SECTION("type") { other.dtype = said = "Half"; }
  SECTION("root") { other.root = 1, said = "root 1"; }
  Ranks ranks(3);
  CHECK_FALSE(find_mismatch(ranks.all));
  ranks.group(2).calls = {other};
  ranks.wait(0);
  const std::string report = judge(ranks, 1, [] {});
  CHECK_THAT(report, Contains("rank 0 broadcast number 1 of group world") && Contains("but rank 2 ") && Contains(said));
  CHECK_THAT(report, Contains("rank 0 has waited for 1.0 s in barrier number 2"));
}

TEST_CASE("a status survives its way through the store, and anything else is an error") {
  Ranks ranks(2);
  ranks.group(0).marks = {{64, 0xffffffffffffffffULL}};
  const RankStatus back = rank_status_from_json(rank_status_to_json(ranks.rank(0)));
  CHECK(rank_status_to_json(back) == rank_status_to_json(ranks.rank(0)));
  CHECK(back.groups.at(0).marks.at(0).second == 0xffffffffffffffffULL);
  CHECK_THROWS_AS(rank_status_from_json("[1, 2]"), Error);
}

TEST_CASE("the log keeps the newest calls, and its marks tell histories apart that went apart long ago") {
  const auto progress = std::make_shared<ProcessProgress>();
  CollectiveLog a("world", {0, 1}, progress), b("world", {0, 1}, progress);
  for (int i = 0; i < 300; ++i) {
    a.enter({.kind = CollectiveKind::all_reduce, .bytes = 4}), a.leave();
    b.enter({.kind = CollectiveKind::all_reduce, .bytes = i == 10 ? 8 : 4}), b.leave();
  }
  const GroupStatus status = a.status();
  CHECK(status.issued == 300);
  CHECK(status.waiting_in == 0);
  REQUIRE(status.calls.size() == 32);
  CHECK(status.calls.front().number == 269);
  CHECK(status.marks.size() == 4);
  CHECK(progress->count == 1200);
  const RankStatus first{.groups = {a.status()}}, second{.groups = {b.status()}};
  CHECK_FALSE(find_mismatch({first, first}));
  const auto mismatch = find_mismatch({first, second});
  REQUIRE(mismatch);
  CHECK_THAT(*mismatch, Contains("ranks 0 and 1 issued different collectives in group world, somewhere up to number 64"));
}

TEST_CASE("a watched communicator gives what the inner one gives, and logs each collective with its call site") {
  const auto log = std::make_shared<CollectiveLog>("world", std::vector<int>{0}, std::make_shared<ProcessProgress>());
  const auto communicator = make_watched_communicator(make_single_communicator(), log, {});
  const std::vector<std::byte> bytes(3, std::byte{7});
  communicator->all_reduce_sum(at::zeros({5}))->wait();
  communicator->broadcast(at::zeros({2}, at::kDouble), 0);
  communicator->barrier();
  CHECK((communicator->gather_bytes(bytes, 0) == std::vector<std::vector<std::byte>>{bytes}));
  CHECK((communicator->broadcast_bytes(bytes, 0) == bytes));
  const GroupStatus status = log->status();
  REQUIRE(status.calls.size() == 5);
  CHECK(status.waiting_in == 0);
  CHECK(status.calls[0].name == "all_reduce");
  CHECK(status.calls[0].bytes == 20);
  CHECK(status.calls[1].dtype == "Double");
  CHECK(status.calls[2].name == "barrier");
  CHECK(status.calls[3].bytes == -1);
  for (const CollectiveCall& logged : status.calls) CHECK_THAT(logged.site, Contains("tests/tensor/collective_status_tests.cpp:"));
}

TEST_CASE("an error in a collective names the collective") {
  class Broken final : public Communicator {
   public:
    int rank() const override { return 0; }
    int world_size() const override { return 2; }
    std::unique_ptr<PendingCollective> all_reduce_sum(at::Tensor, CallSite) override { return nullptr; }
    void broadcast(at::Tensor, int, CallSite) override {}
    void barrier(CallSite) override { throw std::runtime_error("connection reset"); }
    std::vector<std::vector<std::byte>> gather_bytes(std::span<const std::byte>, int, CallSite) override { return {}; }
    std::vector<std::byte> broadcast_bytes(std::span<const std::byte>, int, CallSite) override { return {}; }
    std::vector<CollectiveEvent> take_events() override { return {}; }
    void set_epoch(int) override {}
    Communicator& make_group(const std::string&, const std::vector<int>&, bool) override { return *this; }
    std::unique_ptr<KeyStore> open_store() override { return nullptr; }
  };
  const auto log = std::make_shared<CollectiveLog>("world", std::vector<int>{0, 1}, std::make_shared<ProcessProgress>());
  const auto communicator = make_watched_communicator(std::make_unique<Broken>(), log, {});
  CHECK_THROWS_WITH(communicator->barrier(), Contains("barrier number 1 of group world") && Contains("failed: connection reset"));
  CHECK_THROWS_AS(communicator->barrier(), CollectiveError);
  CHECK(log->status().waiting_in == 2);
}
