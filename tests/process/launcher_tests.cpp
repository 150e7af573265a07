// The launcher ./valbench, run in a temporary checkout with fake_tool.sh in the place of every outside program.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/catch.h"

using namespace valbench;
namespace fs = std::filesystem;
using Catch::Contains;

namespace {

std::string source_root() {
  const char* root = std::getenv("VALBENCH_SOURCE");
  if (root == nullptr) throw Error("VALBENCH_SOURCE is not set; run the tests through ./valbench test");
  return root;
}

/// Two wheels with the wheels' own folder names; a file's content names it.
constexpr const char* kWheels = R"(
import zipfile
wheels = {
  'torch': ['torch/lib/libtorch_cuda.so', 'torch/lib/libtorch_python.so', 'torch/include/a.h', 'torch/nn.py'],
  'nvidia-x': ['nvidia/x/lib/libx.so.1', 'nvidia/x/lib/libx.alt.so.1', 'nvidia/x/include/x.h'],
}
for name, files in wheels.items():
  with zipfile.ZipFile(name + '.whl', 'w') as wheel:
    for file in files:
      wheel.writestr(file, 'content of ' + file)
)";

struct Outcome {
  int exit_code;
  std::string output;  ///< Standard output and error together.
};

/// A temporary checkout, an empty cache, and fakes first on PATH: a machine on which nothing is set up yet, but all works.
class Sandbox {
 public:
  Sandbox() {
    std::string name = (fs::temp_directory_path() / "valbench_launcher_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Error("cannot make a temporary folder " + name);
    folder_ = name;
    fs::create_directories(fakes());
    fs::create_directories(folder_ / "bin");
    for (const char* tool : {"pip3", "meson", "ninja", "id", "sudo", "dpkg-query", "apt-get", "df", "g++"})
      fs::create_symlink(source_root() + "/tests/process/fake_tool.sh", folder_ / "bin" / tool);
    add_checkout("checkout");
    fake("free_kib", "99999999");
    fake("compiler_version", "12");
    write_atomically(fakes() / "wheels.py", kWheels);
    if (shell("cd $FAKES && python3 wheels.py").exit_code != 0) throw Error("python3 cannot make the fake wheels");
  }
  ~Sandbox() { fs::remove_all(folder_); }
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  void add_checkout(const std::string& name) const {
    const fs::path checkout = folder_ / name;
    for (const char* part : {"src", "profilers"}) fs::create_directories(checkout / part);
    for (const char* file : {"meson.build", "meson_options.txt", "src/a.cpp"}) write_atomically(checkout / file, "");
    write_atomically(checkout / "requirements.txt", "# pins\ntorch==9.9.9\nnvidia-x==1.0\n");
    fs::copy_file(source_root() + "/valbench", checkout / "valbench");
  }

  Outcome shell(const std::string& command) const {
    const std::string whole = "exec 2>&1; cd " + (folder_ / "checkout").string() + " && env -i PIP_NO_INDEX=1 PATH=" + (folder_ / "bin").string() +
                              ":/usr/local/bin:/usr/bin:/bin HOME=" + folder_.string() + " FAKES=" + fakes().string() +
                              " VALBENCH_CACHE=" + cache().string() + " timeout 60 bash -c '" + command + "'";
    FILE* pipe = popen(whole.c_str(), "r");
    if (pipe == nullptr) throw Error("cannot start " + whole);
    std::string output;
    char buffer[4096];
    for (std::size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.append(buffer, n);
    const int status = pclose(pipe);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), output};
  }

  Outcome launch(const std::string& arguments) const { return shell("./valbench " + arguments); }

  void fake(const std::string& name, const std::string& content) const { write_atomically(fakes() / name, content); }
  void stop_faking(const std::string& name) const { fs::remove(fakes() / name); }
  void forget_calls() const { stop_faking("calls"); }

  /// How many calls of outside programs so far contain `text`.
  int calls(const std::string& text) const {
    std::ifstream in(fakes() / "calls");
    int count = 0;
    for (std::string line; std::getline(in, line);) count += line.find(text) != std::string::npos ? 1 : 0;
    return count;
  }

  fs::path checkout() const { return folder_ / "checkout"; }
  fs::path cache() const { return folder_ / "cache"; }
  fs::path libtorch() const { return cache() / "libtorch-9.9.9"; }

 private:
  fs::path fakes() const { return folder_ / "fakes"; }
  fs::path folder_;
};

}  // namespace

TEST_CASE("the first call sets everything up, says each step with its seconds, and runs the real program") {
  const Sandbox machine;
  machine.fake("missing_packages", "meson\ncatch2\n");
  const Outcome first = machine.launch("sweep \"my file.yaml\" --rounds 2");
  CHECK(first.exit_code == 0);
  CHECK_THAT(first.output, Contains("system packages: installing meson catch2 ... 0 s"));
  CHECK_THAT(first.output, Contains("LibTorch 9.9.9: fetching 2 wheels") && Contains(".. 0 s"));
  CHECK_THAT(first.output, Contains("the real program: sweep my file.yaml --rounds 2"));
  CHECK(machine.calls("apt-get -o DPkg::Lock::Timeout=600 -y install --no-install-recommends meson catch2") == 1);
  CHECK(machine.calls("ninja -C") == 1);
}

TEST_CASE("the cache holds what a C++ program loads, and none of Python's files") {
  const Sandbox machine;
  REQUIRE(machine.launch("doctor").exit_code == 0);
  CHECK(fs::exists(machine.libtorch() / "torch/lib/libtorch_cuda.so"));
  CHECK(fs::exists(machine.libtorch() / "torch/include/a.h"));
  CHECK(fs::exists(machine.libtorch() / "nvidia/x/lib/libx.so.1"));
  CHECK(fs::exists(machine.libtorch() / "nvidia/x/include/x.h"));
  CHECK_FALSE(fs::exists(machine.libtorch() / "torch/lib/libtorch_python.so"));
  CHECK_FALSE(fs::exists(machine.libtorch() / "torch/nn.py"));
  CHECK_FALSE(fs::exists(machine.libtorch() / "nvidia/x/lib/libx.alt.so.1"));
}

TEST_CASE("a second call asks no package manager, no network and no build tool") {
  const Sandbox machine;
  REQUIRE(machine.launch("doctor").exit_code == 0);
  machine.forget_calls();
  const Outcome second = machine.launch("doctor");
  CHECK(second.output == "the real program: doctor\n");
  CHECK(machine.calls("") == 0);
}

TEST_CASE("a changed or an added source file is built, without a download") {
  const Sandbox machine;
  REQUIRE(machine.launch("doctor").exit_code == 0);
  machine.forget_calls();
  machine.shell("touch -d \"1 hour\" src/a.cpp");
  CHECK(machine.launch("doctor").exit_code == 0);
  CHECK(machine.calls("ninja -C") == 1);
  CHECK(machine.calls("pip3") == 0);
  machine.shell("touch -d \"1 hour ago\" src/a.cpp; touch src/b.cpp");
  CHECK(machine.launch("doctor").exit_code == 0);
  CHECK(machine.calls("ninja -C") == 2);
}

TEST_CASE("without root the one line to run is printed, and nothing is downloaded") {
  const Sandbox machine;
  machine.fake("not_root", "");
  machine.fake("missing_packages", "meson\nlibgloo-dev\n");
  const Outcome outcome = machine.launch("doctor");
  CHECK(outcome.exit_code == 2);
  CHECK_THAT(outcome.output,
             Contains("sudo apt-get update && sudo apt-get install -y --no-install-recommends meson libgloo-dev\n"));
  CHECK(machine.calls("pip3") + machine.calls("apt-get") == 0);
}

TEST_CASE("without root a missing ccache stops nobody") {
  const Sandbox machine;
  machine.fake("not_root", "");
  machine.fake("missing_packages", "ccache\n");
  CHECK(machine.launch("doctor").exit_code == 0);
}

TEST_CASE("sudo without a password installs the packages") {
  const Sandbox machine;
  machine.fake("not_root", "");
  machine.fake("sudo_works", "");
  machine.fake("missing_packages", "meson\n");
  CHECK(machine.launch("doctor").exit_code == 0);
  CHECK(machine.calls("sudo -n env DEBIAN_FRONTEND=noninteractive apt-get") == 2);
}

TEST_CASE("a failing apt-get shows its last lines and the fix") {
  const Sandbox machine;
  machine.fake("missing_packages", "meson\n");
  machine.fake("apt_fails", "E: Unable to fetch some archives\n");
  const Outcome outcome = machine.launch("doctor");
  CHECK(outcome.exit_code == 2);
  CHECK_THAT(outcome.output, Contains("| E: Unable to fetch some archives") && Contains("fix: check the network"));
}

TEST_CASE("a compiler that is too old is named with its version and how to choose another") {
  const Sandbox machine;
  machine.fake("compiler_version", "10");
  const Outcome outcome = machine.launch("doctor");
  CHECK(outcome.exit_code == 2);
  CHECK_THAT(outcome.output, Contains("g++ is version 10") && Contains("CXX=g++-12"));
  CHECK(machine.calls("pip3") == 0);
}

TEST_CASE("a disk without room is noticed before anything is downloaded") {
  const Sandbox machine;
  machine.fake("free_kib", "2048000");
  const Outcome outcome = machine.launch("doctor");
  CHECK(outcome.exit_code == 2);
  CHECK_THAT(outcome.output, Contains("needs 5 GiB in") && Contains("only 2000 MiB are free") && Contains("VALBENCH_CACHE"));
  CHECK(machine.calls("pip3") == 0);
}

TEST_CASE("a disk that fills up while downloading is named as that") {
  const Sandbox machine;
  machine.fake("pip_fails_on_nvidia-x==1.0", "ERROR: Could not install: [Errno 28] No space left on device\n");
  const Outcome outcome = machine.launch("doctor");
  CHECK(outcome.exit_code == 2);
  CHECK_THAT(outcome.output, Contains("nvidia-x==1.0: no space left on the disk") && Contains("VALBENCH_CACHE"));
}

TEST_CASE("without a network the wheel, the retry and the ways around it are named, and finished wheels are kept") {
  const Sandbox machine;
  machine.fake("pip_fails_on_nvidia-x==1.0", "ERROR: Temporary failure in name resolution\n");
  const Outcome outcome = machine.launch("doctor");
  CHECK(outcome.exit_code == 2);
  CHECK_THAT(outcome.output, Contains("could not download the wheel nvidia-x==1.0") && Contains("| ERROR: Temporary failure") &&
                                 Contains("run it again") && Contains("VALBENCH_CACHE=DIR") && Contains("-Dlibtorch=DIR"));
  CHECK_FALSE(fs::exists(machine.libtorch()));

  machine.stop_faking("pip_fails_on_nvidia-x==1.0");
  machine.forget_calls();
  CHECK(machine.launch("doctor").exit_code == 0);
  CHECK(machine.calls("torch==9.9.9") == 0);
  CHECK(machine.calls("nvidia-x==1.0") == 1);
}

TEST_CASE("a set-up that was killed in the middle of a download is taken up again cleanly") {
  const Sandbox machine;
  machine.fake("interrupt_on_nvidia-x==1.0", "");
  CHECK(machine.launch("doctor").exit_code != 0);
  CHECK_FALSE(fs::exists(machine.libtorch()));
  machine.forget_calls();
  CHECK(machine.launch("doctor").exit_code == 0);
  CHECK(machine.calls("pip3") == 1);
  CHECK(read_file(machine.libtorch() / "nvidia/x/lib/libx.so.1") == "content of nvidia/x/lib/libx.so.1");
  CHECK_FALSE(fs::exists(machine.libtorch().string() + ".partial"));
}

TEST_CASE("a half-downloaded wheel is refused and downloaded anew by the next call") {
  const Sandbox machine;
  machine.fake("truncate_torch==9.9.9", "");
  const Outcome outcome = machine.launch("doctor");
  CHECK(outcome.exit_code == 2);
  CHECK_THAT(outcome.output, Contains("the wheel torch==9.9.9 cannot be unpacked") && Contains("run it again"));
  CHECK(machine.launch("doctor").exit_code == 0);
}

TEST_CASE("a library that was cut off, or an unfinished cache, is noticed and fetched again") {
  const Sandbox machine;
  REQUIRE(machine.launch("doctor").exit_code == 0);
  const fs::path damaged = GENERATE(as<fs::path>{}, "torch/lib/libtorch_cuda.so", "nvidia/x/lib/libx.so.1", ".complete");
  fs::resize_file(machine.libtorch() / damaged, 3);
  const Outcome outcome = machine.launch("doctor");
  CHECK(outcome.exit_code == 0);
  CHECK_THAT(outcome.output, Contains("is damaged or unfinished: fetching it again"));
  CHECK(fs::file_size(machine.libtorch() / damaged) > 3);
}

TEST_CASE("setup --repair fetches LibTorch again and starts from a clean build folder") {
  const Sandbox machine;
  REQUIRE(machine.launch("doctor").exit_code == 0);
  write_atomically(machine.checkout() / "build/leftover", "");
  machine.forget_calls();
  CHECK(machine.launch("setup --repair").exit_code == 0);
  CHECK(machine.calls("pip3") == 2);
  CHECK_FALSE(fs::exists(machine.checkout() / "build/leftover"));
}

TEST_CASE("two starts at once that share a cache make one download") {
  const Sandbox machine;
  machine.add_checkout("second");
  machine.fake("hold", "");
  // The one that comes first is held inside its download until the other one says that it waits.
  const Outcome outcome = machine.shell(
      "mkfifo $FAKES/go; { ./valbench one & ../second/valbench two & wait; } 2>&1 | "
      "while read -r line; do echo \"$line\"; case $line in *waiting*) echo >$FAKES/go ;; esac; done");
  CHECK_THAT(outcome.output, Contains("the real program: one") && Contains("the real program: two"));
  CHECK(machine.calls("pip3") == 2);
}

TEST_CASE("a LibTorch of the user's own is used as it is, now and later, and a wrong folder is refused") {
  const Sandbox machine;
  CHECK_THAT(machine.launch("setup -Dlibtorch=/nowhere").output, Contains("no torch/lib/libtorch_cuda.so in /nowhere"));
  const fs::path own = machine.cache() / "own";
  fs::create_directories(own / "torch/lib");
  write_atomically(own / "torch/lib/libtorch_cuda.so", "");
  CHECK(machine.launch("setup -Dlibtorch=" + own.string()).exit_code == 0);
  machine.shell("touch -d \"1 hour\" src/a.cpp");
  CHECK(machine.launch("doctor").output.find("the real program: doctor") != std::string::npos);
  CHECK(machine.calls("pip3") == 0);
  CHECK(machine.launch("setup --repair").exit_code == 0);
  CHECK(machine.calls("pip3") == 0);
  CHECK(machine.calls("-Dlibtorch=" + own.string()) >= 2);
}

TEST_CASE("test adds up the counts of all programs, and counts one that told none as failed") {
  const Sandbox machine;
  machine.fake("counts", "3 0 1\n2 0 0\n");
  machine.fake("testlog.json", "{\"name\": \"a\", \"result\": \"OK\"}\n{\"name\": \"b\", \"result\": \"OK\"}\n");
  machine.fake("meson_test_exit", "0");
  const Outcome good = machine.launch("test --suite unit");
  CHECK(good.exit_code == 0);
  CHECK_THAT(good.output, Catch::EndsWith("\n5 passed, 0 failed, 1 skipped\n"));
  CHECK(machine.calls("--no-rebuild --print-errorlogs --suite unit") == 1);

  machine.fake("meson_test_exit", "1");
  machine.fake("testlog.json", "{\"name\": \"a\", \"result\": \"OK\"}\n{\"name\": \"b\", \"result\": \"OK\"}\n"
                               "{\"name\": \"crashed\", \"result\": \"FAIL\"}\n{\"name\": \"hung\", \"result\": \"TIMEOUT\"}\n");
  const Outcome crashed = machine.launch("test");
  CHECK(crashed.exit_code == 1);
  CHECK_THAT(crashed.output, Catch::EndsWith("\n5 passed, 2 failed, 1 skipped\n"));

  machine.fake("counts", "3 2 0\n");
  machine.fake("testlog.json", "{\"name\": \"a\", \"result\": \"FAIL\"}\n");
  CHECK_THAT(machine.launch("test").output, Catch::EndsWith("\n3 passed, 2 failed, 0 skipped\n"));
}

TEST_CASE("a test call that runs no test is a failure") {
  const Sandbox machine;
  machine.fake("counts", "");
  machine.fake("testlog.json", "");
  machine.fake("meson_test_exit", "0");
  const Outcome outcome = machine.launch("test --suite misspelt");
  CHECK(outcome.exit_code == 1);
  CHECK_THAT(outcome.output, Catch::EndsWith("\n0 passed, 1 failed, 0 skipped\n"));
}

TEST_CASE("an unknown option of setup is refused with the known ones") {
  const Outcome outcome = Sandbox().launch("setup --perrs");
  CHECK(outcome.exit_code == 2);
  CHECK_THAT(outcome.output, Contains("unknown option --perrs") && Contains("[--peers] [--repair] [-Dlibtorch=DIR]"));
}
