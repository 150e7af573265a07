// The house rules that a program can check, held against the project's own files.
#include <algorithm>
#include <filesystem>

#include "tests/lint/source_files.h"
#include "tests/support/catch.h"

using namespace valbench::test;

namespace {

const std::vector<std::string> kCode = {"src", "profilers", "tests", "bench"};
const std::vector<std::string> kEverything = {"src", "profilers", "tests", "bench", "scenarios", "meson.build", "meson_options.txt",
                                              "requirements.txt", "requirements-peers.txt", "valbench", ".ci/run", "README.md",
                                              "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "results/README.md"};

ModuleTable module_table() { return parse_module_table(read_sources({"ARCHITECTURE.md"}).at(0)); }

}  // namespace

TEST_CASE("modules include only what the module table of ARCHITECTURE.md allows") {
  CHECK(includes_outside_the_table(read_sources({"src", "profilers"}), module_table()) == Violations{});
}

TEST_CASE("the module table names exactly the modules, without a circle, and each has a paragraph with its invariant") {
  std::set<std::string> modules = {"profilers"}, rows;
  for (const SourceFile& file : read_sources({"src"})) {
    if (const std::string module = module_of(file.path); !module.empty()) modules.insert(module);
  }
  const ModuleTable table = module_table();
  for (const auto& [module, used] : table) rows.insert(module);
  CHECK(rows == modules);

  // Take away, again and again, every module that uses only modules already taken away; what stays is in a circle.
  std::set<std::string> left = rows;
  const auto free_of_rest = [&](const std::string& module) {
    const auto& used = table.at(module);
    return module == "main" || std::none_of(used.begin(), used.end(), [&](const auto& name) { return left.contains(name); });
  };
  while (std::erase_if(left, free_of_rest) > 0) {
  }
  CHECK(left == std::set<std::string>{});

  const SourceFile page = read_sources({"ARCHITECTURE.md"}).at(0);
  for (const std::string& module : rows) {
    const auto paragraph = std::find_if(page.lines.begin(), page.lines.end(),
                                        [&](const auto& line) { return line.starts_with("**`" + module + "`**"); });
    INFO(module);
    REQUIRE(paragraph != page.lines.end());
    const auto end = std::find(paragraph, page.lines.end(), "");
    CHECK(std::any_of(paragraph, end, [](const auto& line) { return line.find("**Invariant:**") != std::string::npos; }));
  }
}

TEST_CASE("no file includes all of torch at once, which costs 12 seconds a file") {
  CHECK(lines_with(read_sources(kCode), {"#include <torch/" "torch.h>"}) == Violations{});
}

TEST_CASE("files have at most 400 lines, functions at most 60") {
  const auto sources = read_sources({"src", "profilers", "tests", "bench", "valbench"});
  CHECK(files_longer_than(sources, 400) == Violations{});
  CHECK(functions_longer_than(read_sources({"src", "profilers", "bench"}), 60) == Violations{});
}

TEST_CASE("the wall clock is read only for the manifest and a trace's base time, the environment only where programs start and ranks meet, and for the cache folder") {
  const auto sources = read_sources({"src", "profilers"});
  CHECK(lines_with(sources, {"system_clock", "CLOCK_REALTIME"}, {"src/record/", "src/train/machine.", "profilers/chrome_trace.cpp"}) == Violations{});
  CHECK(lines_with(sources, {"getenv"}, {"src/base/cache_folder.cpp", "src/launch/", "src/main/", "src/comm/rendezvous.cpp"}) == Violations{});
}

TEST_CASE("no file holds a path of one machine, a registry's host, or work left for later") {
  // In two halves each, or this file would be found.
  const std::vector<std::string> words = {"/wo" "rk/", "/ro" "ot/", "/ho" "me/", "pypi" ".org", "python" "hosted", "debian" ".org",
                                          "TO" "DO", "FIX" "ME"};
  CHECK(lines_with(read_sources(kEverything), words) == Violations{});
}

TEST_CASE("each rule finds what it is there to find") {
  const ModuleTable table = parse_module_table({"A.md", {"| module | may use |", "|---|---|", "| base | |", "| data | base |",
                                                         "| main | * |"}});
  CHECK(table == ModuleTable{{"base", {}}, {"data", {"base"}}, {"main", {"*"}}});
  const std::vector<SourceFile> sources = {{"src/data/a.cpp", {"#include \"base/error.h\"", "#include \"train/trainer.h\""}},
                                           {"src/main/b.cpp", {"#include \"data/a.h\"", "#include \"other.h\""}},
                                           {"src/fresh/c.h", {"#include \"base/error.h\""}}};
  const Violations includes = includes_outside_the_table(sources, table);
  REQUIRE(includes.size() == 3);
  CHECK_THAT(includes[0], Catch::StartsWith("src/data/a.cpp:2: data may not include train/trainer.h"));
  CHECK_THAT(includes[1], Catch::StartsWith("src/main/b.cpp:2: main may not include other.h"));
  CHECK_THAT(includes[2], Catch::Contains("module fresh has no row"));

  CHECK(lines_with(sources, {"error.h"}, {"src/fresh/"}) == Violations{"src/data/a.cpp:1: contains error.h"});
  CHECK(files_longer_than(sources, 1).size() == 2);
  const SourceFile functions{"src/data/f.cpp", {"int f(int a,", "      int b) {", "  return a;", "}", "struct S {", "  void g() {",
                                                "    h();", "    h();", "    h();", "  }", "};"}};
  CHECK(functions_longer_than({functions}, 3) ==
        Violations{"src/data/f.cpp:1: a function of 4 lines", "src/data/f.cpp:6: a function of 5 lines"});
}
