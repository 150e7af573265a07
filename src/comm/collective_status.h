/// \file
/// What a rank tells the others of its collectives, and what is wrong when their stories are put side by side. No tensors, no threads, no
/// clock.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace valbench {

/// One collective that a rank has issued.
struct CollectiveCall {
  std::uint64_t number = 0;  ///< In its group, from 1.
  std::string name, dtype;   ///< `broadcast`, `float`; no dtype for a barrier.
  std::int64_t bytes = -1;   ///< -1: may differ between ranks.
  int root = -1;             ///< -1: it has none.
  std::string site;          ///< `src/train/trainer.cpp:160`
  std::uint64_t chain = 0;   ///< Hash of this call's name, dtype, bytes and root and of all before it in the group.
};

/// The collectives of one group of ranks as one of them has issued them.
struct GroupStatus {
  std::string name;          ///< `world`
  std::vector<int> members;  ///< Ranks of the world.
  std::uint64_t issued = 0;
  std::uint64_t waiting_in = 0;  ///< Number of the collective that the rank is blocked in; 0 = in none.
  double waiting_s = 0;
  std::vector<CollectiveCall> calls;                            ///< The newest, ascending.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> marks;   ///< (number, chain) of every 64th, the newest, ascending.
};

/// One rank, as its watcher last published it.
struct RankStatus {
  std::uint64_t beat = 0;      ///< Counts publications: stands still when the process is stopped.
  std::uint64_t progress = 0;  ///< Counts collectives and spans begun and ended: stands still when the rank does.
  std::string phase;           ///< The innermost open span, `val.batch`; empty outside of all.
  bool in_epochs = false;      ///< Between the first epoch and the end of the last, where work is counted in spans.
  std::vector<GroupStatus> groups;
};

std::string rank_status_to_json(const RankStatus& status);
/// Throws Error when the text is not what rank_status_to_json() wrote.
RankStatus rank_status_from_json(const std::string& text);

/// `broadcast number 5 of group world (28000 bytes of float, root 0, src/validate/sharded.cpp:35)`. \param members of the group, by which
/// the root is named as a rank of the world; empty: all ranks.
std::string describe_call(const CollectiveCall& call, const std::string& group, const std::vector<int>& members);

/// Judges the statuses of all ranks over time. A mismatch is reported as soon as it shows. A hang is a rank that has waited in a
/// collective for hang_timeout_s while nobody that it waits for, directly or through others, has made progress for as long: rank 0
/// may validate for hours as long as its batches go on. Before the first epoch and after the last there is nothing to count progress
/// by, so there a rank outside of collectives counts as busy for as long as its watcher is heard of.
class CollectiveJudge {
 public:
  CollectiveJudge(int ranks, double hang_timeout_s);

  /// \param now by rank; nothing for a rank not heard of yet.
  /// \param elapsed_s time since the last call in which the caller itself ran.
  /// \return one sentence or more about what is wrong, or nothing.
  std::optional<std::string> look(const std::vector<std::optional<RankStatus>>& now, double elapsed_s);

 private:
  /// A rank over time: since when its counters stand still, on the caller's clock.
  struct Seen {
    std::optional<RankStatus> status;
    double silent_s = 0, stalled_s = 0;
  };

  bool still(std::size_t rank, std::vector<char>& visited) const;
  bool hangs(std::size_t rank) const;
  std::vector<std::size_t> waits_for(std::size_t rank) const;
  std::string describe_waiting(std::size_t rank) const;
  std::string describe_stalled(std::size_t rank) const;
  std::optional<std::string> find_hang() const;

  std::vector<Seen> ranks_;
  double hang_timeout_s_;
};

/// The first collective in which two of the ranks differ (name, size, type or root at equal number in the same group), or nothing.
std::optional<std::string> find_mismatch(const std::vector<std::optional<RankStatus>>& ranks);

}  // namespace valbench
