#include "train/rank_agreement.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/error.h"
#include "comm/value_bytes.h"
#include "data/image_checksum.h"
#include "scenario/sweep_plan.h"

namespace valbench {
namespace {

constexpr std::array<const char*, 2> kSplits = {"training", "validation"};

std::string text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// What rank 0 has found reaches all; nothing found = agreed.
void end_if_refused(Communicator& communicator, const std::string& reason) {
  const std::string shared = text_of(communicator.broadcast_bytes(std::as_bytes(std::span(reason)), 0));
  if (!shared.empty()) throw InputError(shared);
}

/// A split as one rank has scanned it.
struct Scanned {
  std::int64_t images = -1, labels = 0;  ///< -1: this rank does not need it.
  std::uint64_t checksum = 0;
};

/// Of every image, in order.
std::vector<std::uint64_t> checksums_of(const YoloDataset* set) {
  std::vector<std::uint64_t> all;
  if (set == nullptr) return all;
  for (const ImageEntry& image : set->images) all.push_back(image_checksum(image));
  return all;
}

Scanned scanned(const YoloDataset* set) {
  if (set == nullptr) return {};
  const std::vector<std::uint64_t> all = checksums_of(set);
  return {static_cast<std::int64_t>(set->images.size()), set->labels, checksum(std::as_bytes(std::span(all)))};
}

/// A split in which two ranks differ.
struct Difference {
  std::size_t split = kSplits.size();
  std::size_t first = 0, second = 0;  ///< The ranks.
};

Difference find_difference(const std::vector<std::vector<Scanned>>& ranks) {
  for (std::size_t split = 0; split < kSplits.size(); ++split) {
    std::size_t first = ranks.size();
    for (std::size_t r = 0; r < ranks.size(); ++r) {
      const Scanned& set = ranks[r].at(split);
      if (set.images < 0) continue;
      if (first == ranks.size()) first = r;
      const Scanned& other = ranks[first][split];
      if (set.checksum != other.checksum || set.images != other.images) return {split, first, r};
    }
  }
  return {};
}

std::string describe(const Scanned& set) { return fmt::format("{} images with {} labels", set.images, set.labels); }

/// \param names of this rank's images, if it has any.
std::string first_other_image(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b, const YoloDataset* names) {
  const auto [at, other] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  const auto index = static_cast<std::size_t>(at - a.begin());
  const bool named = names != nullptr && index < names->images.size();
  return fmt::format("number {}{}", index, named ? " (" + names->images[index].file.string() + ")" : "");
}

}  // namespace

void agree_on_spec(Communicator& communicator, const RunSpec& spec) {
  if (communicator.world_size() == 1) return;
  RunSpec common = spec;
  common.folder.clear();
  common.data.clear();
  const std::string mine = run_spec_to_json(common);
  const auto all = communicator.gather_bytes(std::as_bytes(std::span(mine)), 0);
  std::string reason;
  for (std::size_t r = 0; r < all.size() && reason.empty(); ++r) {
    const std::string difference = difference_in_work(common, run_spec_from_json(text_of(all[r])));
    if (difference.empty()) continue;
    reason = fmt::format("rank {} was started with another spec than rank 0 ({}); start all ranks with one spec.json", r, difference);
  }
  end_if_refused(communicator, reason);
}

void agree_on_data(Communicator& communicator, const YoloDataset* train, const YoloDataset* val) {
  if (communicator.world_size() == 1) return;
  const std::array<const YoloDataset*, kSplits.size()> sets = {train, val};
  const std::array<Scanned, kSplits.size()> mine = {scanned(train), scanned(val)};
  std::vector<std::vector<Scanned>> ranks;
  for (const auto& bytes : communicator.gather_bytes(std::as_bytes(std::span(mine)), 0)) ranks.push_back(values_of<Scanned>(bytes));
  Difference found = find_difference(ranks);
  const auto shared = communicator.broadcast_bytes(std::as_bytes(std::span(&found, 1)), 0);
  std::memcpy(&found, shared.data(), sizeof found);
  if (found.split == kSplits.size()) return;
  const YoloDataset* set = sets[found.split];
  const std::vector<std::uint64_t> checksums = checksums_of(set);
  std::vector<std::vector<std::uint64_t>> images;
  for (const auto& bytes : communicator.gather_bytes(std::as_bytes(std::span(checksums)), 0)) {
    images.push_back(values_of<std::uint64_t>(bytes));
  }
  std::string reason;
  if (communicator.rank() == 0) {
    reason = fmt::format("the ranks see different {} data: rank {} {}, rank {} {}; the first image that differs in name, size or labels is "
                         "{}. Give every host the same data set",
                         kSplits[found.split], found.first, describe(ranks[found.first][found.split]), found.second,
                         describe(ranks[found.second][found.split]), first_other_image(images[found.first], images[found.second], set));
  }
  end_if_refused(communicator, reason);
}

}  // namespace valbench
