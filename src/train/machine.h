/// \file
/// Where a run ran, for its record.
#pragma once
#include <c10/core/Device.h>

#include <cstdint>
#include <string>

#include "record/run_record.h"

namespace valbench {

/// Processor, cores, memory, GPU, operating system and the versions that decide numbers and speed.
MachineRecord describe_machine(c10::Device device);

/// CLOCK_REALTIME, for the clock pair in the record: the only place that asks for wall-clock time.
std::int64_t realtime_ns();

/// Names the clock that now_ns() reads: the same text on all ranks of a host, another one on another host, or after it was started anew.
std::string host_clock();

/// From /proc: how long this process has run.
double seconds_since_process_start();

}  // namespace valbench
