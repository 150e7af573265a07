/// \file
/// The collectives that this process issues, group by group: written by the thread that communicates, read by the watcher.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "comm/collective_status.h"
#include "comm/communicator.h"
#include "trace/phase.h"

namespace valbench {

enum class CollectiveKind : std::uint8_t { all_reduce, broadcast, barrier, gather_bytes, broadcast_bytes };

/// What moves in this process, whichever thread moves it.
struct ProcessProgress {
  std::atomic<std::uint64_t> count = 0;
  std::atomic<int> phase = -1;  ///< A Phase, or -1.
  std::atomic<bool> in_epochs = false;
};

/// One group's collectives. Under 200 ns a call: one lock that only the watcher ever contends for.
class CollectiveLog {
 public:
  CollectiveLog(std::string group, std::vector<int> members, std::shared_ptr<ProcessProgress> progress);

  /// What a collective is, before it is issued. `bytes` and `root` are -1 where ranks may differ or there is none.
  struct Call {
    CollectiveKind kind;
    int dtype = -1;  ///< c10::ScalarType, or -1.
    std::int64_t bytes = -1;
    int root = -1;
    CallSite site;
  };
  /// The rank is about to issue a collective, and in it until leave(). Returns its number.
  std::uint64_t enter(const Call& call);
  /// The rank is about to wait for a collective that it has issued.
  void wait(std::uint64_t number);
  void leave();

  const std::vector<int>& members() const { return members_; }
  GroupStatus status() const;
  /// The collective that the rank is in, for people.
  std::string current() const;

 private:
  static constexpr std::size_t kKept = 32, kMarks = 16, kMarkEvery = 64;
  struct Entry {
    Call call;
    std::uint64_t chain = 0;
  };

  static CollectiveCall described(std::uint64_t number, const Entry& entry);

  const std::string group_;
  const std::vector<int> members_;
  const std::shared_ptr<ProcessProgress> progress_;
  mutable std::mutex mutex_;
  std::array<Entry, kKept> entries_;
  std::array<std::uint64_t, kMarks> marks_{};
  std::uint64_t issued_ = 0, chain_ = 0, waiting_in_ = 0;
  std::int64_t waiting_since_ns_ = 0;
};

/// Makes the log of a group.
using LogFactory = std::function<std::shared_ptr<CollectiveLog>(const std::string& group, std::vector<int> members)>;

/// `inner` with every call written to `log`, and its groups' to logs of their own. An error of `inner` names the collective and is a
/// CollectiveError.
std::unique_ptr<Communicator> make_watched_communicator(std::unique_ptr<Communicator> inner, std::shared_ptr<CollectiveLog> log,
                                                        LogFactory log_of_group);

}  // namespace valbench
