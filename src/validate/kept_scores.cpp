#include "validate/kept_scores.h"

#include <cstring>
#include <utility>

#include "base/error.h"

namespace valbench {
namespace {

/// In front of each score's bytes.
struct Head {
  std::int64_t epoch = 0;
  std::uint64_t bytes = 0;
};

}  // namespace

void KeptScores::keep(int epoch, PartialScore merged) {
  if (mode_ == VerifyMode::none) return;
  if (mode_ == VerifyMode::last) kept_.clear();
  kept_[epoch] = std::move(merged);
}

std::vector<std::byte> KeptScores::pack() const {
  std::vector<std::byte> all;
  for (const auto& [epoch, score] : kept_) {
    const std::vector<std::byte> bytes = pack_score(score);
    const Head head{epoch, bytes.size()};
    const auto* begin = reinterpret_cast<const std::byte*>(&head);
    all.insert(all.end(), begin, begin + sizeof head);
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  return all;
}

std::map<int, PartialScore> KeptScores::unpack(std::span<const std::byte> bytes) {
  std::map<int, PartialScore> scores;
  while (!bytes.empty()) {
    Head head;
    if (bytes.size() < sizeof head) throw Error("the scores that a rank has kept are cut short");
    std::memcpy(&head, bytes.data(), sizeof head);
    bytes = bytes.subspan(sizeof head);
    if (head.bytes > bytes.size()) throw Error("the scores that a rank has kept are cut short");
    scores[static_cast<int>(head.epoch)] = unpack_score(bytes.first(head.bytes));
    bytes = bytes.subspan(head.bytes);
  }
  return scores;
}

}  // namespace valbench
