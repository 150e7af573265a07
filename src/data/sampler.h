/// \file
/// Seeded orders and draws. Nothing here depends on the number of workers, on timing, or on the standard library in
/// use.
#pragma once
#include <cstdint>
#include <vector>

namespace valbench {

/// A small counter-based generator (SplitMix64): one per sample, keyed by what the sample is, so that its draws never
/// depend on who draws first.
class SampleRandom {
 public:
  /// Draws depend on the three keys alone.
  SampleRandom(std::uint64_t seed, std::uint64_t epoch, std::uint64_t item);
  std::uint64_t next();
  double uniform();                         ///< In [0, 1), 53 bits.
  double uniform(double low, double high);  ///< In [low, high).
  std::int64_t below(std::int64_t count);   ///< In 0..count-1, unbiased.

 private:
  std::uint64_t state_;
};

/// A permutation of 0..count-1 (Fisher-Yates over std::mt19937_64, whose output the standard fixes).
std::vector<std::int64_t> seeded_permutation(std::int64_t count, std::uint64_t seed);

/// The images of one rank in one epoch, by DistributedSampler's rule (§5.10): one permutation of all by seed + epoch,
/// padded by wrap-around to a multiple of `world_size`, every `world_size`-th for a rank.
std::vector<std::int64_t> training_order(std::int64_t count, int rank, int world_size, std::uint64_t seed, int epoch);

/// numpy.random.RandomState(seed).permutation(count).
std::vector<std::int64_t> numpy_permutation(std::int64_t count, std::uint32_t seed);

/// The images that SmartDistributedSampler gives a rank for the whole run (§5.10, head), ascending.
std::vector<std::int64_t> fixed_share(std::int64_t count, int rank, int world_size);

/// A share shuffled by seed + epoch, padded by wrap-around to `length`.
std::vector<std::int64_t> share_order(const std::vector<std::int64_t>& share, std::int64_t length, std::uint64_t seed,
                                      int epoch);

}  // namespace valbench
