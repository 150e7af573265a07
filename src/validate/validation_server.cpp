#include "validate/validation_server.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/clock.h"
#include "base/error.h"
#include "record/epoch_phases.h"
#include "scenario/rank_roles.h"
#include "validate/flat_checksum.h"
#include "validate/shard.h"
#include "validate/weights_guard.h"

namespace valbench {
namespace {

std::vector<int> validators_of(const RunSpec& spec) {
  std::vector<int> ranks;
  for (int rank = training_ranks(spec); rank < spec.ranks; ++rank) ranks.push_back(rank);
  return ranks;
}

void append(std::vector<std::string>& all, const std::vector<std::string>& more) { all.insert(all.end(), more.begin(), more.end()); }

}  // namespace

Communicator& make_snapshot_group(Communicator& world, const RunSpec& spec) {
  std::vector<int> members = validators_of(spec);
  members.insert(members.begin(), 0);
  return world.make_group("snapshots", members);
}

ValidationServer::ValidationServer(const ValidationContext& context)
    : context_(context),
      link_(make_snapshot_group(context.communicator, context.spec), context.communicator.open_store()),
      validators_(context.communicator.make_group("validators", validators_of(context.spec))),
      plan_(make_scoring_plan(context, context.spec.validation)),
      files_(context_, plan_),
      scorer_(context, plan_,
              share_of_batches(plan_.batches, context.spec.validation.shard, validators_.rank(), validators_.world_size())),
      received_(scorer_.empty_state()),
      kept_(context.spec.verify) {}

std::vector<EpochRecord> ValidationServer::serve() {
  Tracer& tracer = context_.tracer;
  std::vector<EpochRecord> rows;
  tracer.reset_sums();
  std::int64_t begin_ns = now_ns();
  while (true) {
    ValidatorOrder order;
    {
      const ScopedSpan span(tracer, Phase::sync_wait);
      order = link_.next();
    }
    if (order.kind == ValidatorOrder::Kind::leave) {
      if (context_.spec.verify != VerifyMode::none) link_.hand_over(kept_.pack());
      return rows;
    }
    if (order.kind == ValidatorOrder::Kind::meet) {
      link_.meet();
      continue;
    }
    tracer.set_epoch(order.epoch);
    off_clock_ns_ = 0;
    score(order);
    EpochRecord& row = rows.emplace_back(EpochRecord{.rank = context_.communicator.rank(), .epoch = order.epoch});
    row.epoch_s = seconds_between(begin_ns + off_clock_ns_, now_ns());
    copy_phases(tracer, row);
    tracer.reset_sums();
    begin_ns = now_ns();
  }
}

void ValidationServer::score(const ValidatorOrder& order) {
  Tracer& tracer = context_.tracer;
  const ScopedSpan epoch_span(tracer, Phase::val_epoch, order.epoch);
  const std::int64_t begin_ns = now_ns();
  {
    const ScopedSpan span(tracer, Phase::val_broadcast, order.epoch);
    link_.receive(received_);
  }
  const std::string checksum = flat_checksum(received_);
  if (checksum != order.checksum) {
    throw Error(fmt::format("rank {} received weights of epoch {} with checksum {}, but rank 0 sent {}", context_.communicator.rank(),
                            order.epoch, checksum, order.checksum));
  }
  scorer_.load(received_);
  WeightsGuard guard({{"the snapshot", received_}, {"the validated model", scorer_.state()}}, context_.spec.verify, tracer, off_clock_ns_);
  FoundDetections found = files_.none_yet();
  const PartialScore mine = scorer_.score(files_.sink(found));
  append(invalid_reasons_, guard.changes(context_.communicator.rank(), order.epoch));
  std::vector<PartialScore> parts;
  {
    const ScopedSpan span(tracer, Phase::val_gather, order.epoch);
    for (const auto& bytes : validators_.gather_bytes(pack_score(mine), 0)) parts.push_back(unpack_score(bytes));
    found = files_.gather(validators_, std::move(found));
  }
  if (validators_.rank() == 0) answer(order, checksum, parts, found, begin_ns);
}

void ValidationServer::answer(const ValidatorOrder& order, const std::string& checksum, std::span<const PartialScore> parts,
                              const FoundDetections& found, std::int64_t begin_ns) {
  PartialScore merged;
  std::vector<ClassCurves> curves;
  ValidationRecord result;
  {
    const ScopedSpan span(context_.tracer, Phase::val_metrics, order.epoch);
    merged = merge_scores(parts);
    result = files_.summarize(order.epoch, checksum, merged, curves);
  }
  files_.write(result, curves, found, context_.tracer);
  result.seconds = seconds_between(begin_ns + off_clock_ns_, now_ns());
  link_.answer(result);
  kept_.keep(order.epoch, std::move(merged));
}

}  // namespace valbench
