#include "tests/lint/source_files.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "base/error.h"
#include "base/file.h"

namespace valbench::test {
namespace {

std::string at(const SourceFile& file, std::size_t index) { return file.path + ":" + std::to_string(index + 1) + ": "; }

std::vector<std::string> words_of(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return c == '|' || c == ',' || c == '`'; }, ' ');
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

/// The path between the quotes of `#include "..."`, else empty.
std::string quoted_include(const std::string& line) {
  constexpr std::string_view start = "#include \"";
  if (!line.starts_with(start)) return {};
  return line.substr(start.size(), line.find('"', start.size()) - start.size());
}

bool edited_by_people(const std::filesystem::path& file) {
  static const std::set<std::string> endings = {".h", ".cpp", ".cu", ".py", ".sh", ".build", ".md", ".yaml", ".txt"};
  return endings.contains(file.extension().string()) || file.filename() == "valbench" || file.filename() == "run";
}

SourceFile read_lines(const std::filesystem::path& root, const std::filesystem::path& file) {
  SourceFile source{std::filesystem::relative(file, root).generic_string(), {}};
  std::istringstream in(read_file(file));
  for (std::string line; std::getline(in, line);) source.lines.push_back(line);
  return source;
}

}  // namespace

std::vector<SourceFile> read_sources(const std::vector<std::string>& folders) {
  const char* root = std::getenv("VALBENCH_SOURCE");
  if (root == nullptr) throw Error("VALBENCH_SOURCE is not set; run the tests through ./valbench test");
  std::vector<SourceFile> sources;
  for (const std::string& folder : folders) {
    const std::filesystem::path start = std::filesystem::path(root) / folder;
    if (std::filesystem::is_regular_file(start)) sources.push_back(read_lines(root, start));
    if (!std::filesystem::is_directory(start)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(start)) {
      if (entry.is_regular_file() && edited_by_people(entry.path())) sources.push_back(read_lines(root, entry.path()));
    }
  }
  return sources;
}

ModuleTable parse_module_table(const SourceFile& markdown) {
  auto line = std::find(markdown.lines.begin(), markdown.lines.end(), "| module | may use |");
  if (line == markdown.lines.end()) throw Error(markdown.path + ": there is no table `| module | may use |`");
  ModuleTable table;
  for (line += 2; line != markdown.lines.end() && line->starts_with("|"); ++line) {
    const std::vector<std::string> words = words_of(*line);
    if (words.empty()) continue;
    table[words.front()] = std::set<std::string>(words.begin() + 1, words.end());
  }
  return table;
}

std::string module_of(const std::string& path) {
  if (path.starts_with("profilers/")) return "profilers";
  if (!path.starts_with("src/") || path.find('/', 4) == std::string::npos) return {};
  return path.substr(4, path.find('/', 4) - 4);
}

Violations includes_outside_the_table(const std::vector<SourceFile>& sources, const ModuleTable& table) {
  Violations found;
  for (const SourceFile& file : sources) {
    const std::string module = module_of(file.path);
    if (module.empty()) continue;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      const std::string include = quoted_include(file.lines[i]);
      if (include.empty()) continue;
      const std::string used = include.substr(0, include.find('/'));
      if (used == module) continue;
      const auto row = table.find(module);
      if (row == table.end()) {
        found.push_back(at(file, i) + "module " + module + " has no row in ARCHITECTURE.md");
      } else if (!row->second.contains(used) && !(row->second.contains("*") && table.contains(used))) {
        found.push_back(at(file, i) + module + " may not include " + include + " (ARCHITECTURE.md, module table)");
      }
    }
  }
  return found;
}

Violations lines_with(const std::vector<SourceFile>& sources, const std::vector<std::string>& words,
                      const std::vector<std::string>& allowed) {
  Violations found;
  for (const SourceFile& file : sources) {
    const auto covers = [&](const std::string& start) { return file.path.starts_with(start); };
    if (std::any_of(allowed.begin(), allowed.end(), covers)) continue;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      for (const std::string& word : words) {
        if (file.lines[i].find(word) != std::string::npos) found.push_back(at(file, i) + "contains " + word);
      }
    }
  }
  return found;
}

Violations files_longer_than(const std::vector<SourceFile>& sources, std::size_t max_lines) {
  Violations found;
  for (const SourceFile& file : sources) {
    if (file.lines.size() > max_lines) found.push_back(file.path + " has " + std::to_string(file.lines.size()) + " lines");
  }
  return found;
}

Violations functions_longer_than(const std::vector<SourceFile>& sources, std::size_t max_lines) {
  Violations found;
  for (const SourceFile& file : sources) {
    if (!file.path.ends_with(".h") && !file.path.ends_with(".cpp") && !file.path.ends_with(".cu")) continue;
    for (const std::size_t indent : {std::size_t{0}, std::size_t{2}}) {
      const std::string closing = std::string(indent, ' ') + "}";
      std::size_t start = 0;
      for (std::size_t i = 0; i < file.lines.size(); ++i) {
        const std::string& line = file.lines[i];
        if (line == closing && i - start + 1 > max_lines) {
          found.push_back(at(file, start) + "a function of " + std::to_string(i - start + 1) + " lines");
        }
        const std::size_t first = line.find_first_not_of(' ');
        // A declaration begins here; its later lines are indented further.
        if (first == indent && std::string_view("#/})").find(line[first]) == std::string_view::npos) start = i;
      }
    }
  }
  return found;
}

}  // namespace valbench::test
