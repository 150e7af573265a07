/// \file
/// The collective checker of one rank (ARCHITECTURE.md, "Collectives"): which rank waits in which collective for whom, since when.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "trace/tracer.h"

namespace valbench {

/// Watches the collectives of this rank from a thread of its own that has its own connection to the ranks' store, so that it goes on
/// where the rank hangs. Every rank publishes what it is in; rank 0's watcher puts the ranks' stories side by side (CollectiveJudge). A
/// rank other than 0 watches by itself whether rank 0, where the store is, still answers.
class CollectiveWatch {
 public:
  /// Told once, on the watcher's thread, what is wrong; expected to end the process.
  using Report = std::function<void(const std::string& what)>;

  /// Connects to the store that rank 0's communicator has opened. One rank alone is not watched.
  CollectiveWatch(const Rendezvous& rendezvous, double hang_timeout_s, Report report);
  ~CollectiveWatch();
  CollectiveWatch(const CollectiveWatch&) = delete;
  CollectiveWatch& operator=(const CollectiveWatch&) = delete;

  /// The communicator of all ranks, its collectives checked as those of group `world`, and those of its groups by their names.
  std::unique_ptr<Communicator> watched(std::unique_ptr<Communicator> world);

  /// To be told of every span: a rank that closes spans makes progress, whether or not it communicates.
  SpanListener& spans();
  /// The same for the thread that validates beside it: its work counts as the rank's, while the main thread waits for it.
  SpanListener& spans_beside();

  /// After a CollectiveError: what the watchers make of it, waited for as long as they need to look twice; empty when nothing is wrong
  /// but the collective itself (a rank died).
  std::string verdict();

 private:
  struct State;
  class Spans;
  class SpansBeside;
  std::shared_ptr<State> state_;
  std::unique_ptr<Spans> spans_;
  std::unique_ptr<SpansBeside> spans_beside_;
};

}  // namespace valbench
