#include "comm/collective_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace valbench {
namespace {

using nlohmann::json;

json to_json_value(const GroupStatus& group) {
  json calls = json::array();
  for (const CollectiveCall& c : group.calls) calls.push_back({c.number, c.name, c.dtype, c.bytes, c.root, c.site, c.chain});
  return {group.name, group.members, group.issued, group.waiting_in, group.waiting_s, calls, group.marks};
}

GroupStatus group_from(const json& value) {
  GroupStatus group{value.at(0), value.at(1), value.at(2), value.at(3), value.at(4), {}, value.at(6)};
  for (const json& c : value.at(5)) {
    group.calls.push_back({c.at(0), c.at(1), c.at(2), c.at(3), c.at(4), c.at(5), c.at(6)});
  }
  return group;
}

bool same_call(const CollectiveCall& a, const CollectiveCall& b) {
  return a.name == b.name && a.dtype == b.dtype && a.bytes == b.bytes && a.root == b.root;
}

/// The first number at which two ranks' calls of one group differ.
std::optional<std::string> differing_call(std::size_t rank_a, const GroupStatus& a, std::size_t rank_b, const GroupStatus& b) {
  for (const CollectiveCall& call : a.calls) {
    const auto other = std::find_if(b.calls.begin(), b.calls.end(), [&](const auto& c) { return c.number == call.number; });
    if (other == b.calls.end() || same_call(call, *other)) continue;
    return fmt::format("the ranks issued different collectives: rank {} {}, but rank {} {}", rank_a,
                       describe_call(call, a.name, a.members), rank_b, describe_call(*other, b.name, b.members));
  }
  return std::nullopt;
}

/// Two ranks that went apart too long ago for their calls to be still known.
std::optional<std::string> differing_mark(std::size_t rank_a, const GroupStatus& a, std::size_t rank_b, const GroupStatus& b) {
  for (const auto& [number, chain] : a.marks) {
    const auto other = std::find_if(b.marks.begin(), b.marks.end(), [&, n = number](const auto& m) { return m.first == n; });
    if (other == b.marks.end() || other->second == chain) continue;
    return fmt::format("ranks {} and {} issued different collectives in group {}, somewhere up to number {}", rank_a, rank_b, a.name,
                       number);
  }
  return std::nullopt;
}

std::string seconds_text(double seconds) { return fmt::format("{:.1f} s", seconds); }

}  // namespace

std::string rank_status_to_json(const RankStatus& status) {
  json groups = json::array();
  for (const GroupStatus& group : status.groups) groups.push_back(to_json_value(group));
  return json{status.beat, status.progress, status.phase, status.in_epochs, groups}.dump();
}

RankStatus rank_status_from_json(const std::string& text) {
  try {
    const json value = json::parse(text);
    RankStatus status{value.at(0), value.at(1), value.at(2), value.at(3), {}};
    for (const json& group : value.at(4)) status.groups.push_back(group_from(group));
    return status;
  } catch (const json::exception& error) {
    throw Error(std::string("a rank's status in the store is not readable: ") + error.what());
  }
}

std::string describe_call(const CollectiveCall& call, const std::string& group, const std::vector<int>& members) {
  std::string detail;
  if (call.bytes >= 0 && !call.dtype.empty()) detail += fmt::format("{} bytes of {}", call.bytes, call.dtype);
  if (call.root >= 0) {
    const auto index = static_cast<std::size_t>(call.root);
    detail += fmt::format("{}root {}", detail.empty() ? "" : ", ", index < members.size() ? members[index] : call.root);
  }
  if (!call.site.empty()) detail += (detail.empty() ? "" : ", ") + call.site;
  return fmt::format("{} number {} of group {}{}", call.name, call.number, group, detail.empty() ? "" : " (" + detail + ")");
}

std::optional<std::string> find_mismatch(const std::vector<std::optional<RankStatus>>& ranks) {
  for (std::size_t a = 0; a < ranks.size(); ++a) {
    for (std::size_t b = a + 1; ranks[a] && b < ranks.size(); ++b) {
      for (const GroupStatus& group : ranks[a]->groups) {
        if (!ranks[b]) continue;
        const auto& others = ranks[b]->groups;
        const auto same = std::find_if(others.begin(), others.end(), [&](const auto& g) { return g.name == group.name; });
        if (same == others.end()) continue;
        if (auto found = differing_call(a, group, b, *same)) return found;
        if (auto found = differing_mark(a, group, b, *same)) return found;
      }
    }
  }
  return std::nullopt;
}

CollectiveJudge::CollectiveJudge(int ranks, double hang_timeout_s)
    : ranks_(static_cast<std::size_t>(ranks)), hang_timeout_s_(hang_timeout_s) {}

std::optional<std::string> CollectiveJudge::look(const std::vector<std::optional<RankStatus>>& now, double elapsed_s) {
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    Seen& seen = ranks_[r];
    const bool beats = now[r] && (!seen.status || now[r]->beat != seen.status->beat);
    const bool moves = now[r] && (!seen.status || now[r]->progress != seen.status->progress);
    seen.silent_s = beats ? 0 : seen.silent_s + elapsed_s;
    seen.stalled_s = moves ? 0 : seen.stalled_s + elapsed_s;
    if (now[r]) seen.status = now[r];
  }
  if (auto mismatch = find_mismatch(now)) {
    std::string text = *mismatch;
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      if (const std::string waiting = describe_waiting(r); !waiting.empty()) text += "; " + waiting;
    }
    return text;
  }
  return find_hang();
}

std::vector<std::size_t> CollectiveJudge::waits_for(std::size_t rank) const {
  std::vector<std::size_t> found;
  if (!ranks_[rank].status) return found;
  for (const GroupStatus& mine : ranks_[rank].status->groups) {
    const std::uint64_t number = mine.waiting_in > 0 ? mine.waiting_in : mine.issued;
    std::vector<std::size_t> behind, beside;
    for (const int member : mine.members) {
      const auto other = static_cast<std::size_t>(member);
      if (other == rank || other >= ranks_.size()) continue;
      std::uint64_t issued = 0;
      bool waiting = false;
      if (ranks_[other].status) {
        for (const GroupStatus& theirs : ranks_[other].status->groups) {
          if (theirs.name == mine.name) issued = theirs.issued, waiting = theirs.waiting_in == number;
        }
      }
      if (issued < number) behind.push_back(other);
      if (waiting) beside.push_back(other);
    }
    // Everyone has come, and still nobody gets out: they wait for each other.
    const auto& waited_for = behind.empty() && mine.waiting_in > 0 ? beside : behind;
    for (const std::size_t other : waited_for) {
      if (std::find(found.begin(), found.end(), other) == found.end()) found.push_back(other);
    }
  }
  return found;
}

bool CollectiveJudge::still(std::size_t rank, std::vector<char>& visited) const {
  if (visited[rank] != 0) return true;
  visited[rank] = 1;
  const Seen& seen = ranks_[rank];
  if (seen.silent_s >= hang_timeout_s_) return true;
  if (!seen.status || seen.stalled_s < hang_timeout_s_) return false;
  const auto& groups = seen.status->groups;
  const bool waiting = std::any_of(groups.begin(), groups.end(), [](const auto& g) { return g.waiting_in > 0; });
  if (!waiting && !seen.status->in_epochs) return false;
  const auto others = waits_for(rank);
  return std::all_of(others.begin(), others.end(), [&](std::size_t other) { return still(other, visited); });
}

bool CollectiveJudge::hangs(std::size_t rank) const {
  const Seen& seen = ranks_[rank];
  if (!seen.status || seen.silent_s >= hang_timeout_s_) return false;
  const auto others = waits_for(rank);
  if (others.empty()) return false;
  bool long_enough = seen.stalled_s >= hang_timeout_s_ && seen.status->in_epochs;
  for (const GroupStatus& group : seen.status->groups) {
    if (group.waiting_in > 0 && group.waiting_s + seen.silent_s >= hang_timeout_s_) long_enough = true;
  }
  if (!long_enough) return false;
  std::vector<char> visited(ranks_.size(), 0);
  visited[rank] = 1;
  return std::all_of(others.begin(), others.end(), [&](std::size_t other) { return still(other, visited); });
}

std::string CollectiveJudge::describe_waiting(std::size_t rank) const {
  if (!ranks_[rank].status) return {};
  for (const GroupStatus& group : ranks_[rank].status->groups) {
    const std::uint64_t number = group.waiting_in > 0 ? group.waiting_in : group.issued;
    const auto call = std::find_if(group.calls.begin(), group.calls.end(), [&](const auto& c) { return c.number == number; });
    if (call == group.calls.end()) continue;
    if (group.waiting_in > 0) {
      return fmt::format("rank {} has waited for {} in {}", rank, seconds_text(group.waiting_s + ranks_[rank].silent_s),
                         describe_call(*call, group.name, group.members));
    }
  }
  return {};
}

std::string CollectiveJudge::describe_stalled(std::size_t rank) const {
  const Seen& seen = ranks_[rank];
  if (!seen.status) return fmt::format("rank {}, which was never heard of: its process is stopped, or its machine is gone", rank);
  const std::string where = seen.status->phase.empty() ? "outside of every phase" : "in phase " + seen.status->phase;
  if (seen.silent_s >= hang_timeout_s_) {
    return fmt::format("rank {}, which has not been heard of for {} and was {}: its process is stopped, or its machine is gone", rank,
                       seconds_text(seen.silent_s), where);
  }
  if (const std::string waiting = describe_waiting(rank); !waiting.empty()) return waiting.substr(0, waiting.find(" has")) + ", which" +
                                                                                   waiting.substr(waiting.find(" has"));
  std::string last;
  for (const GroupStatus& group : seen.status->groups) {
    if (!group.calls.empty()) last += "; its last was " + describe_call(group.calls.back(), group.name, group.members);
  }
  return fmt::format("rank {}, which has made no progress for {} {}{}", rank, seconds_text(seen.stalled_s), where, last);
}

std::optional<std::string> CollectiveJudge::find_hang() const {
  std::string text;
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    if (!hangs(r)) continue;
    std::string waiting = describe_waiting(r);
    if (waiting.empty()) waiting = fmt::format("rank {} has made no progress for {}", r, seconds_text(ranks_[r].stalled_s));
    std::string others;
    for (const std::size_t other : waits_for(r)) others += (others.empty() ? "" : " and for ") + describe_stalled(other);
    text += (text.empty() ? "" : "; ") + waiting + " for " + others;
  }
  if (text.empty()) return std::nullopt;
  return text + fmt::format(". Nobody waited for has moved for hang_timeout ({:g} s); make it longer if the work only takes longer",
                            hang_timeout_s_);
}

}  // namespace valbench
