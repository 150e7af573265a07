#include "train/validation_ledger.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"

namespace valbench {

void ValidationLedger::submitted(int epoch, std::string checksum, double at_s) {
  if (!pending_.try_emplace(epoch, Submission{std::move(checksum), at_s}).second) {
    throw Error(fmt::format("the weights of epoch {} were submitted for validation twice", epoch));
  }
}

bool ValidationLedger::received(ValidationRecord& record, double at_s) {
  const auto found = pending_.find(record.epoch);
  if (found == pending_.end()) throw Error(fmt::format("a validation result of epoch {} came that nobody waits for", record.epoch));
  if (record.weights_checksum != found->second.checksum) {
    throw Error(fmt::format("the validation of epoch {} scored weights with checksum {}, but {} were submitted", record.epoch,
                            record.weights_checksum, found->second.checksum));
  }
  record.submitted_s = found->second.at_s;
  record.known_s = at_s;
  pending_.erase(found);
  const double value = fitness(record.map50, record.map50_95);
  fitness_[record.epoch] = value;
  const bool best = value > best_fitness_ || (value == best_fitness_ && record.epoch > best_epoch_);
  if (best) best_fitness_ = value, best_epoch_ = record.epoch;
  return best;
}

void ValidationLedger::skipped(int epoch) {
  if (pending_.erase(epoch) == 0) throw Error(fmt::format("epoch {} was skipped without having been submitted for validation", epoch));
}

bool ValidationLedger::ended(int epoch) {
  bool stop = false;
  for (; next_ <= epoch && !pending(next_); ++next_) stop = stopping_.update(next_, fitness_of(next_)) || stop;
  return stop;
}

double ValidationLedger::fitness_of(int epoch) const {
  const auto found = fitness_.find(epoch);
  return found == fitness_.end() ? 0 : found->second;
}

}  // namespace valbench
