// What may be compared between ranks, and what is seen coming.
#include "train/run_assembly.h"

#include "tests/support/catch.h"
#include "train/machine.h"

using namespace valbench;
using Catch::Contains;

namespace {

/// A rank that trained one epoch and was in one collective from `begin_ns` to 100.
RankResult rank_on(const std::string& clock, int rank, std::int64_t begin_ns) {
  RankResult result;
  result.epochs = {EpochRecord{.rank = rank, .epoch = 0}};
  result.collectives = {{CollectiveEvent{.begin_ns = begin_ns, .end_ns = 100, .bytes = 8, .epoch = 0}}};
  result.train_checksums = {"w"};
  result.clock = clock;
  return result;
}

RunRecord assembled(const std::vector<RankResult>& ranks) {
  RunRecord record;
  record.spec.ranks = static_cast<int>(ranks.size());
  assemble_record(ranks, record);
  return record;
}

}  // namespace

TEST_CASE("waiting in collectives is measured between ranks of one host, whose clock is one") {
  const RunRecord record = assembled({rank_on("here", 0, 10), rank_on("here", 1, 40)});
  REQUIRE(record.epochs.size() == 2);
  CHECK(record.epochs[0].comm_wait_s.value == Approx(30e-9));
  CHECK(record.epochs[1].comm_wait_s.value == Approx(0).margin(1e-15));
}

TEST_CASE("ranks on several hosts have several clocks: their waiting is not measured, and nothing else changes") {
  const RunRecord record = assembled({rank_on("here", 0, 10), rank_on("there", 1, 40)});
  REQUIRE(record.epochs.size() == 2);
  for (const EpochRecord& epoch : record.epochs) {
    CHECK_FALSE(epoch.comm_wait_s.value.has_value());
    CHECK(epoch.comm_wait_s.reason == "not measured (ranks on several hosts)");
    CHECK(epoch.comm_transfer_s.reason == "not measured (ranks on several hosts)");
  }
  CHECK(record.invalid_reasons.empty());
}

TEST_CASE("every rank of a host names the same clock, and results that have come together carry it") {
  CHECK_FALSE(host_clock().empty());
  CHECK(host_clock() == host_clock());
  const auto alone = make_single_communicator();
  const auto all = gather_results(*alone, rank_on("", 0, 10));
  REQUIRE(all.size() == 1);
  CHECK(all[0].clock == host_clock());
}

TEST_CASE("a measured validation that comes near the time-out of the ranks that wait for it is warned of in the record") {
  std::vector<RankResult> ranks{rank_on("here", 0, 10), rank_on("here", 1, 40)};
  ranks[0].validations = {ValidationRecord{.epoch = 0, .seconds = 5300}};
  CHECK(assembled(ranks).warnings.empty());
  ranks[0].validations.push_back(ValidationRecord{.epoch = 1, .seconds = 5500});
  const RunRecord record = assembled(ranks);
  REQUIRE(record.warnings.size() == 1);
  CHECK_THAT(record.warnings[0], Contains("a validation takes about 5500 s") && Contains("time-out of 10800 s"));
  CHECK(assembled({ranks[0]}).warnings.empty());  // Nobody waits for one rank alone.
  for (const Overlap overlap : {Overlap::rank0, Overlap::sharded}) {
    RunRecord beside;
    beside.spec.ranks = 2;
    beside.spec.validation.placement = Placement::overlapped;
    beside.spec.validation.overlap = overlap;
    assemble_record(ranks, beside);
    CHECK(beside.warnings.size() == (overlap == Overlap::rank0 ? 1 : 0));  // The last one is waited for; a share of it is not that long.
  }
}
