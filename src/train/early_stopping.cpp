#include "train/early_stopping.h"

namespace valbench {

double fitness(double map50, double map50_95) { return 0.1 * map50 + 0.9 * map50_95; }

bool EarlyStopping::update(int epoch, double fitness) {
  if (ties_count_ ? fitness >= best_fitness_ : fitness > best_fitness_) {
    best_epoch_ = epoch;
    best_fitness_ = fitness;
  }
  const int epochs_without = epoch - best_epoch_;
  possible_stop_ = patience_ > 0 && epochs_without >= patience_ - 1;
  return patience_ > 0 && epochs_without >= patience_;
}

}  // namespace valbench
