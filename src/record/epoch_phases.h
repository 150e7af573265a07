/// \file
/// From the spans of an epoch to its record.
#pragma once
#include "record/run_record.h"
#include "trace/tracer.h"

namespace valbench {

/// Writes the sums of the tracer's phases since their last reset into the record: phase_s, phase_count, val_s, wait_s.
void copy_phases(const Tracer& tracer, EpochRecord& record);

}  // namespace valbench
