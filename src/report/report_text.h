/// \file
/// Text that the console's reports share.
#pragma once
#include <cstddef>
#include <string>

#include "record/run_record.h"

namespace valbench {

/// Columns of a table and of wrapped sentences.
inline constexpr std::size_t kReportWidth = 116;

/// About three significant digits; `-` when not measured.
std::string duration_text(const Measured& seconds);
/// A strategy's name, cut where it is too long for a table.
std::string short_name(const std::string& name);
/// `quickstart: yolov5n, 96 px, batch 16, 2 ranks on CPU, 3 epochs`.
std::string work_text(const RunSpec& spec, const MachineRecord& machine);
/// Appends `- sentence`, broken between words; later lines are indented.
void append_wrapped(const std::string& sentence, std::string& out);

}  // namespace valbench
