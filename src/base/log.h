/// \file
/// Lines for the user: results on stdout, notes and warnings on stderr. Each is one write, so that lines of several
/// processes stay whole.
#pragma once
#include <string_view>

namespace valbench {

void print_line(std::string_view text);   ///< stdout.
void log_note(std::string_view text);     ///< stderr.
void log_warning(std::string_view text);  ///< stderr, `warning: …`.
void log_error(std::string_view text);    ///< stderr, `error: …`.

}  // namespace valbench
