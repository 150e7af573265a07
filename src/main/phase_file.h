/// \file
/// Where a rank is, for whoever finds it dead.
#pragma once
#include <array>
#include <cstddef>
#include <filesystem>
#include <string>

#include "trace/tracer.h"

namespace valbench {

/// `rank-N.phase` of the run folder, mapped into memory: two lines of text, what the main thread is in and what a thread that validates
/// beside it is in (blank: nothing). It can still be read after the rank was killed or stopped. Where the file cannot be made nothing is
/// kept. What an exception leaves on its way up stays written, so that the phase that failed can be named afterwards.
class PhaseFile {
 public:
  PhaseFile(const std::filesystem::path& folder, int rank);
  ~PhaseFile();
  PhaseFile(const PhaseFile&) = delete;
  PhaseFile& operator=(const PhaseFile&) = delete;

  SpanListener& main_thread() { return lines_[0]; }
  SpanListener& beside() { return lines_[1]; }
  /// `in epoch 3, phase train.forward`
  std::string text() const;
  /// The rank has done its work: nobody needs the file.
  void remove() const;

 private:
  /// One thread's line. A change is a copy of 64 bytes.
  class Line final : public SpanListener {
   public:
    void write_to(char* place, bool beside);
    std::string text() const;
    void span_begin(Phase phase, std::int64_t) noexcept override;
    void span_end(Phase, std::int64_t) noexcept override;
    void epoch_begin(int epoch) noexcept override;

   private:
    static constexpr std::size_t kDepth = 16;
    void write() noexcept;

    char* place_ = nullptr;
    bool beside_ = false;
    std::array<char, 32> where_{};  ///< `in epoch 3`
    std::array<Phase, kDepth> open_{};
    std::size_t depth_ = 0;
  };

  std::filesystem::path file_;
  char* memory_ = nullptr;
  std::array<Line, 2> lines_;
};

}  // namespace valbench
