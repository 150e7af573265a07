/// \file
/// What a rank that only validates does for the whole run.
#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "validate/kept_scores.h"
#include "validate/scorer.h"
#include "validate/validation_files.h"
#include "validate/validator_link.h"

namespace valbench {

/// The ranks that exchange snapshots: rank 0, then those that only validate.
Communicator& make_snapshot_group(Communicator& world, const RunSpec& spec);

/// Scores what rank 0 sends, until it is told to leave. Several validators deal whole batches among them; the first merges their parts in
/// canonical order and answers.
class ValidationServer {
 public:
  /// \param context of a rank that validates; its communicator is that of all ranks. Rank 0 makes its strategy at the same time.
  explicit ValidationServer(const ValidationContext& context);

  /// One row for each epoch whose weights were scored: waiting for them, then scoring.
  std::vector<EpochRecord> serve();
  /// What this rank has seen that makes the run INVALID.
  const std::vector<std::string>& invalid_reasons() const { return invalid_reasons_; }

 private:
  void score(const ValidatorOrder& order);
  /// The first validator's.
  void answer(const ValidatorOrder& order, const std::string& checksum, std::span<const PartialScore> parts, const FoundDetections& found,
              std::int64_t begin_ns);

  ValidationContext context_;
  TrainerLink link_;
  Communicator& validators_;
  ScoringPlan plan_;
  ValidationFiles files_;
  SnapshotScorer scorer_;
  at::Tensor received_;
  KeptScores kept_;  ///< The first validator's.
  std::vector<std::string> invalid_reasons_;
  std::int64_t off_clock_ns_ = 0;  ///< Spent on checksums since the last order came.
};

}  // namespace valbench
