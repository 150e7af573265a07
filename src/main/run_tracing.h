/// \file
/// The profilers of one rank, wired to its tracer.
#pragma once
#include <memory>
#include <vector>

#include "profilers/nvtx_ranges.h"
#include "profilers/profiler.h"
#include "scenario/run_spec.h"
#include "train/run_instruments.h"

namespace valbench {

/// Every run: NVTX ranges, and around the epochs after the first (the only one, where there is one) the range
/// `bench.window` and, on GPUs, cudaProfilerStart and cudaProfilerStop. A traced run besides: spans are kept, the
/// window's GPU work is traced, and both lie in `rank-N.trace.json` of the run folder.
class RunTracing : public RunInstruments, private SpanListener {
 public:
  /// \param first told of every span before any profiler is, and `first_beside` of those of a thread that validates beside this one.
  RunTracing(const RunSpec& spec, int rank, const std::vector<SpanListener*>& first, SpanListener& first_beside);
  Tracer& tracer() override { return tracer_; }
  TracedWindow finish() override;

 private:
  void span_begin(Phase, std::int64_t) noexcept override {}
  void span_end(Phase, std::int64_t) noexcept override {}
  void epoch_begin(int epoch) noexcept override;
  void write_trace(const GpuTrace& gpu) const;

  const RunSpec& spec_;
  int rank_;
  Tracer tracer_, beside_;
  NvtxRanges ranges_, ranges_beside_;
  std::unique_ptr<Profiler> profiler_;  ///< Null in an untraced run.
  TracedWindow window_;
  bool open_ = false;
};

}  // namespace valbench
