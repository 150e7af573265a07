#include "base/checksum.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

namespace valbench {
namespace {

// Odd 64-bit constants: the golden ratio, and the multiplier of MurmurHash3's finaliser.
constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15ULL;
constexpr std::uint64_t kMix = 0xff51afd7ed558ccdULL;

std::uint64_t word(const std::byte* bytes, std::size_t count) noexcept {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes, count);
  return value;
}

std::uint64_t mixed(std::uint64_t h) noexcept {
  h ^= h >> 33;
  h *= kMix;
  h ^= h >> 29;
  return h;
}

}  // namespace

std::uint64_t checksum(std::span<const std::byte> bytes, std::uint64_t seed) noexcept {
  std::array<std::uint64_t, 4> lane{seed ^ kStep, seed + 2 * kStep, seed ^ (3 * kStep), seed + 5 * kStep};
  const std::byte* data = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 32; left -= 32, data += 32) {
    for (std::size_t i = 0; i < 4; ++i) {
      std::uint64_t h = (lane[i] ^ word(data + 8 * i, 8)) * kMix;
      lane[i] = h ^ (h >> 32);
    }
  }
  std::uint64_t h = bytes.size() * kStep;
  for (const std::uint64_t value : lane) h = mixed(h ^ value) + kStep;
  for (; left >= 8; left -= 8, data += 8) h = mixed(h ^ word(data, 8)) + kStep;
  if (left > 0) h = mixed(h ^ word(data, left)) + kStep;
  return mixed(h);
}

std::string checksum_text(std::uint64_t value) { return fmt::format("{:016x}", value); }

}  // namespace valbench
