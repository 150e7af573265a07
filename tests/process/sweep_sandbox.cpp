#include "tests/process/sweep_sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <stdexcept>

#include "base/file.h"
#include "data/synthetic_dataset.h"

namespace valbench::test {

namespace fs = std::filesystem;

const std::string kTinyScenario = R"(name: tiny
model: yolov5n
weights: none
data: synth
synth: {train_images: 8, val_images: 12, classes: 2, width: 64, height: 64}
imgsz: 64
epochs: 1
batch_size: 4
ranks: 2
device: cpu
threads: 1
rounds: 1
baseline: rank0
strategies:
  - {name: rank0}
  - {name: sharded, placement: sharded}
)";

namespace {
fs::path program() {
  const char* build = std::getenv("VALBENCH_BUILD");
  if (build == nullptr) throw std::runtime_error("VALBENCH_BUILD is not set; run the tests through ./valbench test");
  return fs::path(build) / "src/main/valbench";
}
}  // namespace

std::string unwrapped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool blank = std::isspace(static_cast<unsigned char>(c)) != 0;
    if (!blank) out += c;
    if (blank && !out.empty() && out.back() != ' ') out += ' ';
  }
  return out;
}

int occurrences(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

Outcome SweepSandbox::valbench(const std::vector<std::string>& arguments,
                               const std::vector<std::string>& environment) const {
  std::vector<std::string> argv = {"/usr/bin/env", "-C", path().string()};
  argv.insert(argv.end(), environment.begin(), environment.end());
  argv.push_back(program().string());
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const CapturedRun run = run_captured(argv, 300);
  if (run.timed_out) throw std::runtime_error("valbench did not end: " + run.output);
  return {run.exit.signal != 0 ? 128 + run.exit.signal : run.exit.code, run.output};
}

std::vector<std::string> SweepSandbox::sweep_command(const std::vector<std::string>& options,
                                                     const std::vector<std::string>& environment) const {
  std::vector<std::string> argv = {"/usr/bin/env", "-C", path().string()};
  argv.insert(argv.end(), environment.begin(), environment.end());
  for (const auto& part : {program().string(), std::string("sweep"), std::string("scenario.yaml"), std::string("--out"),
                           std::string("out")})
    argv.push_back(part);
  argv.insert(argv.end(), options.begin(), options.end());
  return argv;
}

Outcome SweepSandbox::sweep(std::vector<std::string> options, const std::vector<std::string>& environment) const {
  options.insert(options.begin(), {"sweep", "scenario.yaml", "--out", "out"});
  return valbench(options, environment);
}

fs::path SweepSandbox::make_data(const std::string& name) const {
  SyntheticSpec spec;
  spec.train_images = 8, spec.val_images = 12, spec.classes = 2, spec.width = 64, spec.height = 64;
  make_synthetic_dataset(spec, path() / name);
  return path() / name;
}

std::vector<std::string> SweepSandbox::listing() const {
  std::vector<std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(path()))
    all.push_back(entry.path().string() + " " + std::to_string(entry.is_regular_file() ? entry.file_size() : 0));
  std::sort(all.begin(), all.end());
  return all;
}

RunningCommand::RunningCommand(const std::vector<std::string>& argv) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe can be made");
  output_ = OwnedFd(ends[0]);
  const OwnedFd write_end(ends[1]);
  pid_ = start_child({argv, {}, write_end.value(), {}});
}

RunningCommand::~RunningCommand() {
  if (pid_ < 0) return;
  ::kill(-pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool RunningCommand::read_more() {
  constexpr int kSilence_ms = 120'000;
  pollfd readable{output_.value(), POLLIN, 0};
  if (::poll(&readable, 1, kSilence_ms) <= 0) return false;
  char buffer[4096];
  const ssize_t n = ::read(output_.value(), buffer, sizeof buffer);
  if (n > 0) text_.append(buffer, static_cast<std::size_t>(n));
  return n > 0;
}

bool RunningCommand::wrote(const std::string& text) {
  while (text_.find(text) == std::string::npos) {
    if (!read_more()) return false;
  }
  return true;
}

void RunningCommand::send(int signal) const { ::kill(pid_, signal); }

Outcome RunningCommand::finish() {
  while (read_more()) {
  }
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), text_};
}

std::vector<pid_t> processes_of(const fs::path& folder) {
  std::vector<pid_t> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    try {
      if (read_file(entry.path() / "cmdline").find(folder.string() + "/") != std::string::npos)
        found.push_back(std::stoi(name));
    } catch (const std::exception&) {
      // It ended in between.
    }
  }
  return found;
}

}  // namespace valbench::test
