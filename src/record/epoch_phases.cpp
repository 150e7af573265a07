#include "record/epoch_phases.h"

#include <string>

namespace valbench {

void copy_phases(const Tracer& tracer, EpochRecord& record) {
  for (int p = 0; p < kPhaseCount; ++p) {
    const PhaseSum& sum = tracer.sum(static_cast<Phase>(p));
    if (sum.count == 0) continue;
    const std::string name(phase_name(static_cast<Phase>(p)));
    record.phase_s[name] = static_cast<double>(sum.total_ns) * 1e-9;
    record.phase_count[name] = sum.count;
  }
  record.val_s = static_cast<double>(tracer.sum(Phase::val_epoch).total_ns) * 1e-9;
  record.wait_s = static_cast<double>(tracer.sum(Phase::sync_wait).total_ns) * 1e-9;
}

}  // namespace valbench
