#include "launch/rank_process.h"

#include <fcntl.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace valbench {
namespace {

std::filesystem::path rank_file(const RunSpec& spec, int rank, const char* suffix) {
  return spec.folder / ("rank-" + std::to_string(rank) + suffix);
}

OwnedFd open_log(const std::filesystem::path& file) {
  OwnedFd log(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666));
  if (log.value() < 0) throw RecordError("cannot write " + file.string() + ": " + std::strerror(errno));
  return log;
}

}  // namespace

std::string error_message(const RunSpec& spec, int rank) {
  std::ifstream in(rank_file(spec, rank, ".error.json"));
  const auto json = nlohmann::json::parse(in, nullptr, false);
  return json.is_object() && json.contains("message") && json["message"].is_string()
             ? json["message"].get<std::string>()
             : "";
}

void remove_error_messages(const std::filesystem::path& folder) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string file = entry.path().string();
    if (file.ends_with(".error.json") || file.ends_with(".phase")) std::filesystem::remove(entry.path(), ignored);
  }
}

RankProcess::RankProcess(const RunSpec& spec, int rank, const std::vector<std::string>& argv,
                         const RankEndpoints& endpoints)
    : rank_(rank) {
  const OwnedFd log = open_log(rank_file(spec, rank, ".log"));
  ChildOptions options;
  options.argv = argv;
  options.environment = rank_environment(spec, rank, endpoints);
  options.output_fd = log.value();
  if (rank == 0) options.inherited_fds = {endpoints.listen_fd, endpoints.progress_fd};
  pid_ = start_child(options);
}

RankProcess::~RankProcess() {
  if (exit_) return;
  ::kill(-pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool RankProcess::refresh() {
  if (exit_) return false;
  exit_ = take_exit(pid_);
  return exit_.has_value();
}

void RankProcess::send(int signal) {
  if (!exit_) ::kill(-pid_, signal);
}

std::string place_of(const RunSpec& spec, int rank) {
  std::ifstream in(rank_file(spec, rank, ".phase"));
  std::string place, line;
  while (std::getline(in, line)) {
    line.erase(line.find_last_not_of(' ') + 1);
    if (!line.empty()) place += (place.empty() ? "" : ", and beside it ") + line;
  }
  return place;
}

std::string last_lines(const std::filesystem::path& log, int lines) {
  std::ifstream in(log, std::ios::binary | std::ios::ate);
  constexpr std::streamoff kEnd = 64 * 1024;
  const std::streamoff size = in ? static_cast<std::streamoff>(in.tellg()) : 0;
  const std::streamoff begin = size > kEnd ? size - kEnd : 0;
  in.seekg(begin);
  std::string text(static_cast<std::size_t>(size - begin), '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (text.empty()) return "  (empty)";
  std::size_t start = text.size();
  for (int line = 0; line < lines && start != std::string::npos && start > 0; ++line)
    start = text.rfind('\n', start - 1);
  text = start == std::string::npos || start == 0 ? text : text.substr(start + 1);
  std::string indented = "  ";
  for (const char c : text) indented += c == '\n' ? std::string("\n  ") : std::string(1, c);
  return indented;
}

std::string describe_failure(const RunSpec& spec, int rank, const ChildExit& exit) {
  std::string how = exit.signal != 0
                        ? "was ended by signal " + std::to_string(exit.signal) + " (" + ::strsignal(exit.signal) + ")"
                        : "exited with code " + std::to_string(exit.code);
  if (const std::string place = place_of(spec, rank); !place.empty()) how += " " + place;
  if (exit.signal == SIGKILL)
    how += ", perhaps for lack of memory (batch size " + std::to_string(spec.batch_size) + ")";
  const std::string message = error_message(spec, rank);
  const auto log = rank_file(spec, rank, ".log");
  std::string others;
  for (int other = 0; other < spec.ranks; ++other) {
    if (const std::string place = place_of(spec, other); other != rank && !place.empty()) {
      others += (others.empty() ? "\nthe others then: rank " : ", rank ") + std::to_string(other) + " " + place;
    }
  }
  return "rank " + std::to_string(rank) + " of " + spec.run_id + " " + how + (message.empty() ? "" : ": " + message) + others +
         "\nlast lines of " + log.string() + ":\n" + last_lines(log, 20);
}

}  // namespace valbench
