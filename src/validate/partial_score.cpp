#include "validate/partial_score.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "metrics/matching.h"

namespace valbench {
namespace {

template <class T>
void append(std::vector<std::byte>& bytes, const std::vector<T>& values) {
  static_assert(std::is_trivially_copyable_v<T>);
  const std::uint64_t count = values.size();
  const auto* head = reinterpret_cast<const std::byte*>(&count);
  bytes.insert(bytes.end(), head, head + sizeof count);
  const auto* data = reinterpret_cast<const std::byte*>(values.data());
  bytes.insert(bytes.end(), data, data + count * sizeof(T));
}

template <class T>
void take(std::span<const std::byte>& bytes, std::vector<T>& values) {
  std::uint64_t count = 0;
  if (bytes.size() < sizeof count) throw Error("a rank's validation score is cut short");
  std::memcpy(&count, bytes.data(), sizeof count);
  bytes = bytes.subspan(sizeof count);
  if (count > bytes.size() / sizeof(T)) throw Error("a rank's validation score is cut short");
  values.resize(count);
  if (count > 0) std::memcpy(values.data(), bytes.data(), count * sizeof(T));
  bytes = bytes.subspan(count * sizeof(T));
}

}  // namespace

PartialScore merge_scores(std::span<const PartialScore> parts) {
  PartialScore merged;
  std::vector<MatchSet> matches;
  matches.reserve(parts.size());
  for (const PartialScore& part : parts) {
    matches.push_back(part.matches);
    merged.losses.insert(merged.losses.end(), part.losses.begin(), part.losses.end());
    merged.pixels += part.pixels;
    merged.candidate_limit_hits += part.candidate_limit_hits;
    merged.detection_limit_hits += part.detection_limit_hits;
  }
  merged.matches = merge_matches(matches);
  std::sort(merged.losses.begin(), merged.losses.end(), [](const auto& a, const auto& b) { return a.batch < b.batch; });
  return merged;
}

std::vector<std::byte> pack_score(const PartialScore& score) {
  std::vector<std::byte> bytes;
  bytes.reserve(64 + score.matches.detections.size() * sizeof(MatchedDetection) +
                score.matches.images.size() * sizeof(MatchSet::Image) + score.matches.label_classes.size() * 2);
  append(bytes, score.matches.images);
  append(bytes, score.matches.detections);
  append(bytes, score.matches.label_classes);
  append(bytes, score.losses);
  append(bytes, std::vector<std::int64_t>{score.pixels, score.candidate_limit_hits, score.detection_limit_hits});
  return bytes;
}

PartialScore unpack_score(std::span<const std::byte> bytes) {
  PartialScore score;
  std::vector<std::int64_t> counts;
  take(bytes, score.matches.images);
  take(bytes, score.matches.detections);
  take(bytes, score.matches.label_classes);
  take(bytes, score.losses);
  take(bytes, counts);
  if (counts.size() != 3 || !bytes.empty()) throw Error("a rank's validation score has the wrong size");
  score.pixels = counts[0];
  score.candidate_limit_hits = counts[1];
  score.detection_limit_hits = counts[2];
  return score;
}

ValidationRecord summarize_score(const PartialScore& merged, int threads) {
  return summarize_score(merged, mean_average_precision(merged.matches, threads));
}

ValidationRecord summarize_score(const PartialScore& merged, const MeanAveragePrecision& map) {
  ValidationRecord record;
  record.images = static_cast<std::int64_t>(merged.matches.images.size());
  record.labels = static_cast<std::int64_t>(merged.matches.label_classes.size());
  record.detections = static_cast<std::int64_t>(merged.matches.detections.size());
  record.pixels = merged.pixels;
  record.candidate_limit_hits = merged.candidate_limit_hits;
  record.detection_limit_hits = merged.detection_limit_hits;
  record.precision = map.precision;
  record.recall = map.recall;
  record.map50 = map.map50;
  record.map50_95 = map.map50_95;
  for (const ClassAveragePrecision& c : map.classes) {
    record.classes.push_back({c.cls, c.labels, c.precision, c.recall, c.map50(), c.map50_95()});
  }
  for (const BatchLoss& batch : merged.losses) {
    for (std::size_t i = 0; i < 3; ++i) record.loss[i] += static_cast<double>(batch.items[i]);
  }
  for (double& item : record.loss) item /= std::max<double>(1.0, static_cast<double>(merged.losses.size()));
  return record;
}

}  // namespace valbench
