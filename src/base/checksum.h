/// \file
/// A fast 64-bit hash of bytes, for telling equal weights from different ones. Not cryptographic.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace valbench {

/// Hash of the bytes, continuing from `seed`. Four independent multiply-xor lanes over 8-byte words: a few GB/s on one core.
std::uint64_t checksum(std::span<const std::byte> bytes, std::uint64_t seed = 0) noexcept;

/// 16 hexadecimal digits.
std::string checksum_text(std::uint64_t value);

}  // namespace valbench
