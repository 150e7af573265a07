#include "train/run_assembly.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <span>

#include "base/error.h"
#include "comm/group_timeout.h"
#include "scenario/rank_roles.h"
#include "trace/time_breakdown.h"
#include "train/machine.h"

namespace valbench {
namespace {

constexpr const char* kClock = "clock";
constexpr const char* kSeveralHosts = "not measured (ranks on several hosts)";

/// The JSON of a run record carries epochs, validations and checksums between ranks; the collectives follow as plain bytes.
std::vector<std::byte> pack(const RankResult& result) {
  RunRecord carrier;
  carrier.epochs = result.epochs;
  carrier.validations = result.validations;
  carrier.best_epoch = result.best_epoch;
  carrier.skipped_validations = result.skipped;
  carrier.train_checksums = result.train_checksums;
  carrier.invalid_reasons = result.invalid_reasons;
  carrier.warnings = result.warnings;
  carrier.job_s = result.job_s;
  carrier.machine.versions[kClock] = host_clock();
  carrier.gpu_traces = result.gpu_traces;
  carrier.gpu_phases = result.gpu_phases;
  const std::string json = run_record_to_json(carrier);
  std::vector<std::int64_t> head{static_cast<std::int64_t>(json.size())};
  for (const auto& epoch : result.collectives) head.push_back(static_cast<std::int64_t>(epoch.size()));
  head.insert(head.begin(), static_cast<std::int64_t>(head.size()));
  std::vector<std::byte> bytes;
  const auto append = [&bytes](const void* data, std::size_t size) {
    const auto* begin = static_cast<const std::byte*>(data);
    bytes.insert(bytes.end(), begin, begin + size);
  };
  append(head.data(), head.size() * sizeof(std::int64_t));
  append(json.data(), json.size());
  for (const auto& epoch : result.collectives) append(epoch.data(), epoch.size() * sizeof(CollectiveEvent));
  return bytes;
}

RankResult unpack(const std::vector<std::byte>& bytes) {
  const std::byte* at = bytes.data();
  const auto take = [&at](void* out, std::size_t size) {
    std::memcpy(out, at, size);
    at += size;
  };
  std::int64_t count = 0;
  take(&count, sizeof count);
  std::vector<std::int64_t> head(static_cast<std::size_t>(count));
  take(head.data(), head.size() * sizeof(std::int64_t));
  std::string json(static_cast<std::size_t>(head[0]), '\0');
  take(json.data(), json.size());
  RunRecord carrier = run_record_from_json(json);
  RankResult result;
  result.epochs = std::move(carrier.epochs);
  result.validations = std::move(carrier.validations);
  result.best_epoch = carrier.best_epoch;
  result.skipped = std::move(carrier.skipped_validations);
  result.train_checksums = std::move(carrier.train_checksums);
  result.invalid_reasons = std::move(carrier.invalid_reasons);
  result.warnings = std::move(carrier.warnings);
  result.job_s = carrier.job_s;
  result.clock = carrier.machine.versions[kClock];
  result.gpu_traces = std::move(carrier.gpu_traces);
  result.gpu_phases = std::move(carrier.gpu_phases);
  for (std::size_t e = 1; e < head.size(); ++e) {
    auto& events = result.collectives.emplace_back(static_cast<std::size_t>(head[e]));
    if (!events.empty()) take(events.data(), events.size() * sizeof(CollectiveEvent));
  }
  return result;
}

/// Every rank's communication kernels, on every rank.
std::vector<std::vector<Interval>> share_intervals(Communicator& communicator, const std::vector<Interval>& mine) {
  const auto bytes_of = [](const std::vector<Interval>& list) { return std::as_bytes(std::span(list)); };
  std::vector<std::byte> all;
  const auto append = [&all](const void* data, std::size_t size) {
    const auto* begin = static_cast<const std::byte*>(data);
    all.insert(all.end(), begin, begin + size);
  };
  for (const auto& rank : communicator.gather_bytes(bytes_of(mine), 0)) {
    const std::uint64_t size = rank.size();
    append(&size, sizeof size);
    append(rank.data(), rank.size());
  }
  all = communicator.broadcast_bytes(all, 0);
  std::vector<std::vector<Interval>> ranks;
  for (const std::byte* at = all.data(); ranks.size() < static_cast<std::size_t>(communicator.world_size());) {
    std::uint64_t size = 0;
    std::memcpy(&size, at, sizeof size);
    auto& list = ranks.emplace_back(size / sizeof(Interval));
    if (size > 0) std::memcpy(list.data(), at + sizeof size, size);
    at += sizeof size + size;
  }
  return ranks;
}

/// Do all ranks read the same clock? A collective.
bool on_one_host(Communicator& communicator) {
  const std::string mine = host_clock();
  bool same = true;
  for (const auto& clock : communicator.gather_bytes(std::as_bytes(std::span(mine)), 0)) {
    same = same && std::ranges::equal(clock, std::as_bytes(std::span(mine)));
  }
  const std::array answer{static_cast<std::byte>(same)};
  return communicator.broadcast_bytes(answer, 0).at(0) != std::byte{0};
}

/// Waiting and transfer of one epoch's gradient collectives, per rank that trains, or why they are not known.
void fill_collective_times(std::span<const RankResult> ranks, std::size_t epoch, std::span<EpochRecord> records) {
  const auto give_reason = [&](const std::string& reason) {
    for (EpochRecord& record : records) record.comm_wait_s = record.comm_transfer_s = Measured::not_measured(reason);
  };
  if (ranks.size() == 1) return give_reason("not measured (one rank has no collectives)");
  // A wait is the time from one rank's coming to another's, and every host has a clock of its own.
  if (std::any_of(ranks.begin(), ranks.end(), [&](const RankResult& rank) { return rank.clock != ranks[0].clock; })) {
    return give_reason(kSeveralHosts);
  }
  std::vector<std::vector<Interval>> events(ranks.size());
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    for (const CollectiveEvent& event : ranks[r].collectives[epoch]) {
      if (event.end_ns == 0) return give_reason("not measured (GPU collectives need a traced run)");
      events[r].push_back({event.begin_ns, event.end_ns});
    }
    if (events[r].size() != events[0].size()) return give_reason("not measured (ranks issued different collectives)");
  }
  const std::vector<CollectiveTimes> times = collective_times(events);
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    records[r].comm_wait_s = Measured::of(static_cast<double>(times[r].wait_ns) * 1e-9);
    records[r].comm_transfer_s = Measured::of(static_cast<double>(times[r].transfer_ns) * 1e-9);
  }
}

/// The row of a rank that only validates; empty where it scored nothing of that epoch.
EpochRecord validator_row(const RankResult& result, int rank, int epoch) {
  const auto found = std::find_if(result.epochs.begin(), result.epochs.end(), [&](const auto& row) { return row.epoch == epoch; });
  EpochRecord row = found != result.epochs.end() ? *found : EpochRecord{.rank = rank, .epoch = epoch};
  row.comm_wait_s = row.comm_transfer_s = Measured::not_measured("not measured (this rank only validates)");
  return row;
}

/// The rows of one epoch, a row for each rank.
std::vector<EpochRecord> epoch_rows(const std::vector<RankResult>& ranks, std::size_t trained, std::size_t e) {
  std::vector<EpochRecord> rows;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    rows.push_back(r < trained ? ranks[r].epochs.at(e) : validator_row(ranks[r], static_cast<int>(r), ranks[0].epochs[e].epoch));
  }
  fill_collective_times(std::span(ranks).first(trained), e, std::span(rows).first(trained));
  return rows;
}

/// One sentence for all snapshots that were given up.
void note_skipped(RunRecord& record) {
  if (record.skipped_validations.empty()) return;
  std::string epochs;
  for (const SkippedValidation& skipped : record.skipped_validations) {
    epochs += (epochs.empty() ? "" : ", ") + std::to_string(skipped.epoch);
  }
  record.warnings.push_back(fmt::format("{} of {} validations were skipped, of epochs {}: {}", record.skipped_validations.size(),
                                        record.skipped_validations.size() + record.validations.size(), epochs,
                                        record.skipped_validations.back().reason));
}

/// YOLOv5's classic failure, seen coming: the longest validation so far beside the time-out of those who wait for it.
void note_timeout(RunRecord& record) {
  if (!waits_for_validation(record.spec)) return;
  double longest_s = 0;
  for (const ValidationRecord& validation : record.validations) longest_s = std::max(longest_s, validation.seconds);
  if (std::string text = group_timeout_warning(longest_s); !text.empty()) record.warnings.push_back(std::move(text));
}

void note_invalid(std::span<const RankResult> ranks, std::size_t trained, RunRecord& record) {
  for (const RankResult& rank : ranks) {
    record.invalid_reasons.insert(record.invalid_reasons.end(), rank.invalid_reasons.begin(), rank.invalid_reasons.end());
  }
  for (std::size_t r = 1; r < trained; ++r) {
    if (ranks[r].train_checksums != ranks[0].train_checksums) {
      record.invalid_reasons.push_back(fmt::format("rank {} trained other weights than rank 0", r));
    }
  }
  for (const EpochRecord& epoch : record.epochs) {
    if (!std::isfinite(epoch.loss_box + epoch.loss_obj + epoch.loss_cls)) {
      record.invalid_reasons.push_back(fmt::format("the training loss of epoch {} is not finite", epoch.epoch));
      break;
    }
  }
  if (record.exactness.exact == "false") {
    record.invalid_reasons.push_back("differs from rank 0's own validation: " + record.exactness.first_difference);
  }
}

void note_comparability(RunRecord& record) {
  const std::vector<int>& ids = record.spec.device_ids;
  std::vector<int> sorted = ids;
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::string> notes;
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) notes.push_back("several ranks share one GPU");
  if (record.spec.oversubscribed) {
    notes.push_back(fmt::format("{} ranks x {} threads on {} cores", record.spec.ranks, record.spec.torch_threads,
                                record.machine.cores));
  }
  if (record.spec.profile) notes.push_back("traced run");
  for (const std::string& note : notes) record.timing_note += (record.timing_note.empty() ? "" : "; ") + note;
  record.timing_comparable = notes.empty();
}

}  // namespace

void add_trace(Communicator& communicator, const TracedWindow& window, RankResult& result) {
  const bool one_host = on_one_host(communicator);
  auto collectives = share_intervals(communicator, collectives_of(window.gpu));
  if (!one_host) collectives.clear();  // Waiting and moving data cannot be told apart.
  GpuTraceRecord record = summarize_gpu_trace(window, communicator.rank(), collectives);
  if (!one_host && record.available) record.comm_wait_s = Measured::not_measured(kSeveralHosts);
  result.gpu_traces.push_back(std::move(record));
  result.gpu_phases = gpu_phases_of(window, communicator.rank());
}

std::vector<RankResult> gather_results(Communicator& communicator, const RankResult& mine) {
  std::vector<RankResult> all;
  for (const auto& bytes : communicator.gather_bytes(pack(mine), 0)) all.push_back(unpack(bytes));
  return all;
}

void assemble_record(const std::vector<RankResult>& ranks, RunRecord& record) {
  record.validations = ranks[0].validations;
  std::sort(record.validations.begin(), record.validations.end(), [](const auto& a, const auto& b) { return a.epoch < b.epoch; });
  record.best_epoch = ranks[0].best_epoch;
  record.skipped_validations = ranks[0].skipped;
  record.train_checksums = ranks[0].train_checksums;
  const auto trained = static_cast<std::size_t>(training_ranks(record.spec));
  for (const RankResult& rank : ranks) {
    record.job_s = std::max(record.job_s, rank.job_s);
    record.warnings.insert(record.warnings.end(), rank.warnings.begin(), rank.warnings.end());
    record.gpu_traces.insert(record.gpu_traces.end(), rank.gpu_traces.begin(), rank.gpu_traces.end());
    record.gpu_phases.insert(record.gpu_phases.end(), rank.gpu_phases.begin(), rank.gpu_phases.end());
  }
  for (std::size_t e = 0; e < ranks[0].epochs.size(); ++e) {
    std::vector<EpochRecord> records = epoch_rows(ranks, trained, e);
    for (const ValidationRecord& validation : record.validations) {
      if (validation.epoch == records[0].epoch) records[0].val_images = validation.images;
    }
    record.epochs.insert(record.epochs.end(), records.begin(), records.end());
  }
  note_skipped(record);
  note_timeout(record);
  note_invalid(ranks, trained, record);
  note_comparability(record);
}

}  // namespace valbench
