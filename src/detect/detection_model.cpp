#include "detect/detection_model.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <cstring>
#include <unordered_map>

namespace valbench {
namespace {

// Four independent multiply-rotate lanes over 32 bytes at a time (the way of xxHash): memory speed, where FNV does a
// byte at a time.
constexpr std::uint64_t kPrime1 = 0x9E3779B185EBCA87, kPrime2 = 0xC2B2AE3D27D4EB4F, kPrime3 = 0x165667B19E3779F9;

std::uint64_t rotate(std::uint64_t x, int bits) { return (x << bits) | (x >> (64 - bits)); }

std::uint64_t mix(std::uint64_t lane, std::uint64_t word) { return rotate(lane + word * kPrime2, 31) * kPrime1; }

std::uint64_t hash_bytes(const std::uint8_t* bytes, std::size_t size, std::uint64_t seed) {
  std::uint64_t lanes[4] = {seed + kPrime1, seed + kPrime2, seed, seed - kPrime1};
  std::size_t at = 0;
  for (; at + 32 <= size; at += 32) {
    std::uint64_t words[4];
    std::memcpy(words, bytes + at, 32);
    for (int i = 0; i < 4; ++i) lanes[i] = mix(lanes[i], words[i]);
  }
  std::uint64_t hash = size;
  for (const std::uint64_t lane : lanes) hash = mix(hash, lane);
  for (; at < size; ++at) hash = rotate(hash ^ (bytes[at] * kPrime3), 11) * kPrime1;
  hash = (hash ^ (hash >> 33)) * kPrime2;
  hash = (hash ^ (hash >> 29)) * kPrime3;
  return hash ^ (hash >> 32);
}

}  // namespace

int load_matching_state(DetectionModel& model, const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
  const at::NoGradGuard no_grad;
  std::unordered_map<std::string, const at::Tensor*> by_name;
  for (const auto& [name, tensor] : tensors) by_name[name] = &tensor;
  int copied = 0;
  for (StateEntry& entry : model.state()) {
    const auto found = by_name.find(entry.name);
    if (found == by_name.end() || found->second->sizes() != entry.tensor.sizes()) continue;
    entry.tensor.copy_(*found->second);
    ++copied;
  }
  return copied;
}

std::string state_checksum(const DetectionModel& model) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> bytes;
  for (const StateEntry& entry : model.state()) {
    if (entry.kind == StateEntry::Kind::batches_tracked) continue;
    // Row-major whatever the memory layout.
    bytes.push_back(entry.tensor.detach().contiguous().flatten().view(at::kByte));
  }
  // One copy from the device for all entries.
  const at::Tensor all = at::cat(bytes).cpu();
  return fmt::format("{:016x}", hash_bytes(all.data_ptr<std::uint8_t>(), static_cast<std::size_t>(all.numel()), 0));
}

}  // namespace valbench
