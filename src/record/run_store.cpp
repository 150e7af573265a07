#include "record/run_store.h"

#include <algorithm>
#include <tuple>

#include "base/error.h"

namespace valbench {
namespace {

bool is_run_folder(const std::filesystem::path& folder) {
  std::error_code ignored;
  return std::filesystem::exists(folder / kSpecFile, ignored) || run_state(folder) != RunState::missing;
}

}  // namespace

RunState run_state(const std::filesystem::path& run_folder) {
  std::error_code ignored;
  if (std::filesystem::exists(run_folder / kRunFile, ignored)) return RunState::complete;
  if (std::filesystem::exists(run_folder / kFailedFile, ignored)) return RunState::failed;
  return RunState::missing;
}

std::vector<StoredRun> list_runs(const std::filesystem::path& sweep_folder) {
  const auto entry_of = [](const std::filesystem::path& folder) {
    return StoredRun{.run_id = folder.filename().string(), .folder = folder, .state = run_state(folder)};
  };
  if (is_run_folder(sweep_folder)) return {entry_of(sweep_folder)};
  std::vector<StoredRun> runs;
  std::error_code error;
  std::filesystem::directory_iterator at(sweep_folder, error);
  for (const std::filesystem::directory_iterator end; !error && at != end; at.increment(error)) {
    if (at->is_directory() && is_run_folder(at->path())) runs.push_back(entry_of(at->path()));
  }
  if (error) {
    throw RecordError("cannot list the runs of " + sweep_folder.string() + ": " + error.message() +
                      ". Give the folder of a sweep or of one run");
  }
  std::sort(runs.begin(), runs.end(), [](const StoredRun& a, const StoredRun& b) { return a.run_id < b.run_id; });
  return runs;
}

std::vector<RunRecord> read_runs(const std::filesystem::path& sweep_folder) {
  std::vector<RunRecord> records;
  for (const StoredRun& run : list_runs(sweep_folder)) {
    if (run.state == RunState::missing) continue;
    records.push_back(read_run_record(run.folder / (run.state == RunState::complete ? kRunFile : kFailedFile)));
  }
  std::stable_sort(records.begin(), records.end(), [](const RunRecord& a, const RunRecord& b) {
    return std::tie(a.spec.round, a.spec.order) < std::tie(b.spec.round, b.spec.order);
  });
  return records;
}

}  // namespace valbench
