#include "validate/make_strategy.h"

#include <utility>

#include "base/error.h"

namespace valbench {
namespace {

struct Row {
  Placement placement;
  bool every_rank;
  std::unique_ptr<ValidationStrategy> (*make)(const ValidationContext&);
};
constexpr Row kStrategies[] = {
    {Placement::none, false, make_none_strategy},
    {Placement::rank0, false, make_rank0_strategy},
    {Placement::sharded, true, make_sharded_strategy},
    {Placement::dedicated, false, make_dedicated_strategy},
    {Placement::overlapped, false, make_overlapped_strategy},
    {Placement::deferred, true, make_deferred_strategy},
};

const Row& row(Placement placement) {
  for (const Row& r : kStrategies) {
    if (r.placement == placement) return r;
  }
  throw Error("placement " + to_string(placement) + " has no strategy");
}

}  // namespace

std::unique_ptr<ValidationStrategy> make_strategy(const ValidationContext& context) {
  return row(context.spec.validation.placement).make(context);
}

bool every_rank_validates(const ValidationSpec& spec) {
  return row(spec.placement).every_rank || (spec.placement == Placement::overlapped && spec.overlap == Overlap::sharded);
}

}  // namespace valbench
