/// \file
/// The run folders of a sweep: FOLDER/<run-id>/ with spec.json from the start, and run.json or failed.json at the end.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "record/run_record.h"

namespace valbench {

/// Names of the files in a run folder.
inline constexpr const char* kRunFile = "run.json";
inline constexpr const char* kFailedFile = "failed.json";  ///< A RunRecord with status failed or interrupted.
inline constexpr const char* kSpecFile = "spec.json";

enum class RunState {
  complete,  ///< run.json is there.
  failed,    ///< failed.json is there.
  missing,   ///< Only spec.json: never started, still running, or killed.
};

struct StoredRun {
  std::string run_id;
  std::filesystem::path folder;
  RunState state = RunState::missing;
};

/// State of one run folder; missing when the folder is not there.
RunState run_state(const std::filesystem::path& run_folder);

/// The run folders below `sweep_folder`, sorted by name; other folders are passed over. A folder that is itself a run
/// is the only entry. Throws RecordError when the folder cannot be listed.
std::vector<StoredRun> list_runs(const std::filesystem::path& sweep_folder);

/// All complete and failed runs of the folder, ascending by round and order. Throws RecordError that names the file and
/// field.
std::vector<RunRecord> read_runs(const std::filesystem::path& sweep_folder);

}  // namespace valbench
