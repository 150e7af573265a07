/// \file
/// What the exactness gate needs of the validations of a run, kept on rank 0 until the clock has stopped.
#pragma once
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "scenario/run_spec.h"
#include "validate/partial_score.h"
#include "validate/validation_strategy.h"

namespace valbench {

/// Any thread of rank 0 may keep; the gate reads when all are done.
class ExactnessEvidence {
 public:
  /// \param folder of the run: under `all`, snapshots lie in it until they have been scored again.
  ExactnessEvidence(VerifyMode mode, std::filesystem::path folder) : mode_(mode), folder_(std::move(folder)) {}
  ~ExactnessEvidence();
  ExactnessEvidence(const ExactnessEvidence&) = delete;
  ExactnessEvidence& operator=(const ExactnessEvidence&) = delete;

  /// A validation as the strategy has it: the snapshot that was scored, before anything rounds it, and the merged score of all ranks.
  /// Under `last` the newest epoch's replaces the one before, and its state is only referred to.
  void keep(const ModelSnapshot& snapshot, PartialScore merged);
  /// The score of a snapshot that was kept without one, because another rank has it until the clock has stopped. Without effect where a
  /// newer snapshot has taken its place.
  void add_score(int epoch, PartialScore merged);

  /// Null when nothing was kept of that epoch.
  const PartialScore* score(int epoch) const;
  /// The snapshot's flat float32 state. Under `last` it may have moved on since: compare its checksum.
  at::Tensor state(int epoch) const;
  VerifyMode mode() const { return mode_; }

 private:
  struct Kept {
    PartialScore score;
    at::Tensor state;            ///< Under `last`.
    std::filesystem::path file;  ///< Under `all`.
    at::Tensor like;             ///< Under `all`: shape and type of the state, without memory.
  };

  VerifyMode mode_;
  std::filesystem::path folder_;
  mutable std::mutex mutex_;
  std::map<int, Kept> kept_;
};

}  // namespace valbench
