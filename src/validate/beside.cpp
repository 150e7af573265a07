// placement: overlapped with overlap: sharded, on the background threads. Every rank has the snapshot already: the threads that train have
// sent it. Each scores its part, and one gather over a group that only background threads use brings the parts to rank 0. A rank whose part
// failed takes part in the gather all the same and says why, so that nobody waits for it; a rank that is ending does not.
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <cstring>
#include <exception>
#include <span>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "comm/collective_error.h"
#include "validate/dealt_strategy.h"
#include "validate/flat_checksum.h"
#include "validate/make_strategy.h"

namespace valbench {
namespace {

/// A rank's part, or why there is none.
struct Part {
  std::string failure, checksum;  ///< Of the weights that it scored.
  PartialScore score;
};

void append(std::vector<std::byte>& bytes, const std::string& text) {
  const std::uint64_t size = text.size();
  const auto* head = reinterpret_cast<const std::byte*>(&size);
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  bytes.insert(bytes.end(), head, head + sizeof size);
  bytes.insert(bytes.end(), data, data + size);
}

std::string take_text(std::span<const std::byte>& bytes) {
  std::uint64_t size = 0;
  if (bytes.size() < sizeof size) throw Error("a rank's part of a validation is cut short");
  std::memcpy(&size, bytes.data(), sizeof size);
  bytes = bytes.subspan(sizeof size);
  if (size > bytes.size()) throw Error("a rank's part of a validation is cut short");
  const std::string text(reinterpret_cast<const char*>(bytes.data()), size);
  bytes = bytes.subspan(size);
  return text;
}

std::vector<std::byte> pack(const Part& part) {
  std::vector<std::byte> bytes;
  append(bytes, part.failure);
  append(bytes, part.checksum);
  const std::vector<std::byte> score = pack_score(part.score);
  bytes.insert(bytes.end(), score.begin(), score.end());
  return bytes;
}

Part unpack(std::span<const std::byte> bytes) {
  Part part;
  part.failure = take_text(bytes);
  part.checksum = take_text(bytes);
  part.score = unpack_score(bytes);
  return part;
}

class BesideStrategy final : public DealtStrategy {
 public:
  using DealtStrategy::DealtStrategy;

  void submit(ModelSnapshot snapshot) override {
    Tracer& tracer = context().tracer;
    const ScopedSpan span(tracer, Phase::val_epoch, snapshot.epoch);
    const std::int64_t begin_ns = now_ns();
    std::exception_ptr failure;
    FoundDetections found = files().none_yet();
    const Part mine = score_part(snapshot, found, failure);
    if (failure && context().stop.stop_requested()) std::rethrow_exception(failure);
    std::vector<PartialScore> parts;
    {
      const ScopedSpan gather_span(tracer, Phase::val_gather, snapshot.epoch);
      int rank = 0;
      for (const auto& bytes : context().communicator.gather_bytes(pack(mine), 0)) {
        // This rank's own failure goes on its way below, as what it is.
        if (rank++ == 0 && failure) continue;
        parts.push_back(checked(unpack(bytes), rank - 1, snapshot));
      }
    }
    if (failure) std::rethrow_exception(failure);
    found = files().gather(context().communicator, std::move(found));
    if (context().communicator.rank() == 0) finish(snapshot, std::move(parts), std::move(found), begin_ns);
  }

 private:
  Part score_part(const ModelSnapshot& snapshot, FoundDetections& found, std::exception_ptr& failure) {
    try {
      scorer().load(snapshot.state);
      PartialScore score = score_share(found);
      // Of what was scored, afterwards: nobody wrote to it in the meantime.
      return {{}, flat_checksum(snapshot.state), std::move(score)};
    } catch (const std::exception& error) {
      failure = std::current_exception();
      const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
      return {torch_error != nullptr ? torch_error->what_without_backtrace() : error.what(), {}, {}};
    }
  }

  /// The rank that failed reports its reason itself: a CollectiveError here lets it do so first.
  static PartialScore checked(Part part, int rank, const ModelSnapshot& snapshot) {
    if (!part.failure.empty()) {
      throw CollectiveError(fmt::format("rank {} failed in its part of the validation of epoch {}: {}", rank, snapshot.epoch, part.failure));
    }
    if (part.checksum != snapshot.checksum) {
      throw Error(fmt::format("rank {} scored weights of epoch {} with checksum {}, but rank 0 sent {}", rank, snapshot.epoch, part.checksum,
                              snapshot.checksum));
    }
    return std::move(part.score);
  }
};

}  // namespace

std::unique_ptr<ValidationStrategy> make_beside_strategy(const ValidationContext& context) {
  return std::make_unique<BesideStrategy>(context);
}

}  // namespace valbench
