/// \file
/// The project's text files as lines, and the house rules as functions over them: each returns one sentence per violation.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

namespace valbench::test {

struct SourceFile {
  std::string path;  ///< Relative to the project's root, with `/`.
  std::vector<std::string> lines;
};

using Violations = std::vector<std::string>;

/// Module name -> the modules whose headers it may include besides its own. The value {"*"} allows all.
using ModuleTable = std::map<std::string, std::set<std::string>>;

/// All text files below `folders` of the project's root (VALBENCH_SOURCE), with an ending that a person edits.
std::vector<SourceFile> read_sources(const std::vector<std::string>& folders);

/// Rows of the Markdown table that follows the line `| module | may use |`.
ModuleTable parse_module_table(const SourceFile& markdown);

/// `src/data/mosaic.cpp` -> `data`, `profilers/cupti/x.h` -> `profilers`, else empty.
std::string module_of(const std::string& path);

Violations includes_outside_the_table(const std::vector<SourceFile>& sources, const ModuleTable& table);

/// Lines that contain one of `words`, in files whose path starts with none of `allowed`.
Violations lines_with(const std::vector<SourceFile>& sources, const std::vector<std::string>& words,
                      const std::vector<std::string>& allowed = {});

Violations files_longer_than(const std::vector<SourceFile>& sources, std::size_t max_lines);

/// Free functions (closing brace in column 0) and member functions (in column 2) of more than `max_lines` lines.
Violations functions_longer_than(const std::vector<SourceFile>& sources, std::size_t max_lines);

}  // namespace valbench::test
