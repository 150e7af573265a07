#include "train/checkpoint_files.h"

#include <system_error>
#include <utility>

#include "base/file.h"

namespace valbench {

void CheckpointFiles::write(const std::vector<std::string>& names, const SafetensorsFile& content) {
  finish();
  std::vector<std::filesystem::path> written;
  for (const std::string& name : names) {
    const std::filesystem::path file = file_of(name);
    if (!written.empty() && link(written.front(), file)) continue;
    write_safetensors(file, content, Sync::later);
    written.push_back(file);
  }
  synced_ = std::async(std::launch::async, [written = std::move(written)] {
    for (const std::filesystem::path& file : written) sync_file(file);
  });
}

void CheckpointFiles::finish() {
  if (synced_.valid()) synced_.get();
}

/// False where the file system has no hard links, or not for this file.
bool CheckpointFiles::link(const std::filesystem::path& file, const std::filesystem::path& other) const {
  std::filesystem::path temporary = other;
  temporary += ".link";
  std::error_code error;
  std::filesystem::remove(temporary, error);  // Of a run that was killed here.
  std::filesystem::create_hard_link(file, temporary, error);
  if (error) return false;
  std::filesystem::rename(temporary, other, error);
  const bool linked = !error;
  std::filesystem::remove(temporary, error);  // It stays where both are links to one file already.
  return linked;
}

}  // namespace valbench
