#include "comm/collective_log.h"

#include <c10/core/ScalarType.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/clock.h"

namespace valbench {
namespace {

constexpr std::array<const char*, 5> kNames = {"all_reduce", "broadcast", "barrier", "gather_bytes", "broadcast_bytes"};

std::uint64_t mixed(std::uint64_t chain, const CollectiveLog::Call& call) {
  const auto head = static_cast<std::uint64_t>(call.kind) | static_cast<std::uint64_t>(call.dtype & 0xff) << 8 |
                    static_cast<std::uint64_t>(static_cast<std::uint32_t>(call.root)) << 16;
  constexpr std::uint64_t kPrime = 0x9e3779b97f4a7c15ULL;
  for (const std::uint64_t word : {head, static_cast<std::uint64_t>(call.bytes)}) {
    chain = (chain ^ word) * kPrime;
    chain ^= chain >> 29;
  }
  return chain;
}

/// `src/train/trainer.cpp:160`, however the compiler was given the path.
std::string site_text(const CallSite& site) {
  const char* file = site.file_name();
  while (std::strncmp(file, "../", 3) == 0) file += 3;
  return fmt::format("{}:{}", file, site.line());
}

}  // namespace

CollectiveLog::CollectiveLog(std::string group, std::vector<int> members, std::shared_ptr<ProcessProgress> progress)
    : group_(std::move(group)), members_(std::move(members)), progress_(std::move(progress)) {}

std::uint64_t CollectiveLog::enter(const Call& call) {
  const std::int64_t now = now_ns();
  progress_->count.fetch_add(1, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  chain_ = mixed(chain_, call);
  ++issued_;
  entries_[issued_ % kKept] = {call, chain_};
  if (issued_ % kMarkEvery == 0) marks_[issued_ / kMarkEvery % kMarks] = chain_;
  waiting_in_ = issued_;
  waiting_since_ns_ = now;
  return issued_;
}

void CollectiveLog::wait(std::uint64_t number) {
  const std::int64_t now = now_ns();
  const std::lock_guard lock(mutex_);
  waiting_in_ = number;
  waiting_since_ns_ = now;
}

void CollectiveLog::leave() {
  progress_->count.fetch_add(1, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  waiting_in_ = 0;
}

CollectiveCall CollectiveLog::described(std::uint64_t number, const Entry& entry) {
  const Call& call = entry.call;
  return {.number = number,
          .name = kNames.at(static_cast<std::size_t>(call.kind)),
          .dtype = call.dtype < 0 ? "" : c10::toString(static_cast<c10::ScalarType>(call.dtype)),
          .bytes = call.bytes,
          .root = call.root,
          .site = site_text(call.site),
          .chain = entry.chain};
}

std::string CollectiveLog::current() const {
  const std::lock_guard lock(mutex_);
  return describe_call(described(waiting_in_, entries_[waiting_in_ % kKept]), group_, members_);
}

GroupStatus CollectiveLog::status() const {
  GroupStatus status{.name = group_, .members = members_};
  std::array<Entry, kKept> entries;
  std::array<std::uint64_t, kMarks> marks{};
  {
    const std::lock_guard lock(mutex_);
    entries = entries_;
    marks = marks_;
    status.issued = issued_;
    status.waiting_in = waiting_in_;
    if (waiting_in_ > 0) status.waiting_s = seconds_between(waiting_since_ns_, now_ns());
  }
  for (std::uint64_t n = status.issued > kKept ? status.issued - kKept + 1 : 1; n <= status.issued; ++n) {
    status.calls.push_back(described(n, entries[n % kKept]));
  }
  const std::uint64_t last = status.issued / kMarkEvery;
  for (std::uint64_t m = last > kMarks ? last - kMarks + 1 : 1; m <= last; ++m) {
    status.marks.emplace_back(m * kMarkEvery, marks[m % kMarks]);
  }
  return status;
}

}  // namespace valbench
