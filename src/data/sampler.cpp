#include "data/sampler.h"

#include <numeric>
#include <random>
#include <utility>

namespace valbench {
namespace {

std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// Values past the last whole multiple of `count` are drawn again.
template <class Draw>
std::int64_t unbiased_below(std::int64_t count, Draw&& draw) {
  const auto n = static_cast<std::uint64_t>(count);
  const std::uint64_t limit = UINT64_MAX - UINT64_MAX % n;
  std::uint64_t value = draw();
  while (value >= limit) value = draw();
  return static_cast<std::int64_t>(value % n);
}

}  // namespace

SampleRandom::SampleRandom(std::uint64_t seed, std::uint64_t epoch, std::uint64_t item)
    : state_(mixed(mixed(mixed(seed + 0x9e3779b97f4a7c15ULL) + epoch + 0x9e3779b97f4a7c15ULL) + item +
                   0x9e3779b97f4a7c15ULL)) {}

std::uint64_t SampleRandom::next() { return mixed(state_ += 0x9e3779b97f4a7c15ULL); }

double SampleRandom::uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

double SampleRandom::uniform(double low, double high) { return low + (high - low) * uniform(); }

std::int64_t SampleRandom::below(std::int64_t count) {
  return unbiased_below(count, [this] { return next(); });
}

std::vector<std::int64_t> seeded_permutation(std::int64_t count, std::uint64_t seed) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::mt19937_64 engine(seed);
  for (std::int64_t i = count - 1; i > 0; --i) {
    const std::int64_t j = unbiased_below(i + 1, [&] { return static_cast<std::uint64_t>(engine()); });
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(j)]);
  }
  return order;
}

std::vector<std::int64_t> training_order(std::int64_t count, int rank, int world_size, std::uint64_t seed, int epoch) {
  const std::vector<std::int64_t> all = seeded_permutation(count, seed + static_cast<std::uint64_t>(epoch));
  const std::int64_t padded = (count + world_size - 1) / world_size * world_size;
  std::vector<std::int64_t> mine;
  for (std::int64_t i = rank; i < padded; i += world_size) mine.push_back(all[static_cast<std::size_t>(i % count)]);
  return mine;
}

std::vector<std::int64_t> numpy_permutation(std::int64_t count, std::uint32_t seed) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::mt19937 engine(seed);
  for (std::int64_t i = count - 1; i > 0; --i) {
    std::uint32_t mask = static_cast<std::uint32_t>(i);
    for (const int shift : {1, 2, 4, 8, 16}) mask |= mask >> shift;
    std::uint32_t j = static_cast<std::uint32_t>(engine()) & mask;
    while (j > static_cast<std::uint32_t>(i)) j = static_cast<std::uint32_t>(engine()) & mask;
    std::swap(order[static_cast<std::size_t>(i)], order[j]);
  }
  return order;
}

std::vector<std::int64_t> fixed_share(std::int64_t count, int rank, int world_size) {
  const std::vector<std::int64_t> dealt = numpy_permutation(count, 0);
  std::vector<std::int64_t> share;
  for (std::int64_t i = 0; i < count; ++i) {
    if (dealt[static_cast<std::size_t>(i)] % world_size == rank) share.push_back(i);
  }
  if (share.empty()) share.push_back(rank % count);  // more ranks than images
  return share;
}

std::vector<std::int64_t> share_order(const std::vector<std::int64_t>& share, std::int64_t length, std::uint64_t seed,
                                      int epoch) {
  const auto size = static_cast<std::int64_t>(share.size());
  const std::vector<std::int64_t> shuffled = seeded_permutation(size, seed + static_cast<std::uint64_t>(epoch));
  std::vector<std::int64_t> order;
  for (std::int64_t i = 0; i < length; ++i)
    order.push_back(share[static_cast<std::size_t>(shuffled[static_cast<std::size_t>(i % size)])]);
  return order;
}

}  // namespace valbench
