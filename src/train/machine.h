/// \file
/// Where a run ran, for its record.
#pragma once
#include <c10/core/Device.h>

#include <cstdint>

#include "record/run_record.h"

namespace valbench {

/// Processor, cores, memory, GPU, operating system and the versions that decide numbers and speed.
MachineRecord describe_machine(c10::Device device);

/// CLOCK_REALTIME, for the clock pair in the record: the only place that asks for wall-clock time.
std::int64_t realtime_ns();

/// From /proc: how long this process has run.
double seconds_since_process_start();

}  // namespace valbench
