#include "train/checkpoint_files.h"

#include <system_error>

namespace valbench {
namespace {

namespace fs = std::filesystem;

fs::path with_suffix(fs::path file, const char* suffix) { return file += suffix; }

fs::path previous_of(const fs::path& file) { return with_suffix(file, ".previous"); }

/// Makes `other` a second name of `file`. False where there is no such file, or the file system has no hard links.
bool link(const fs::path& file, const fs::path& other) {
  const fs::path temporary = with_suffix(other, ".link");
  std::error_code error;
  fs::remove(temporary, error);  // Of a run that was killed here.
  fs::create_hard_link(file, temporary, error);
  if (error) return false;
  fs::rename(temporary, other, error);
  const bool linked = !error;
  fs::remove(temporary, error);  // It stays where both are links to one file already.
  return linked;
}

}  // namespace

void CheckpointFiles::write(const std::vector<std::string>& names, const SafetensorsFile& content) {
  for (const std::string& name : names) {
    if (const auto earlier = synced_.extract(name)) earlier.mapped().get();
  }
  std::vector<fs::path> files, written;
  for (const std::string& name : names) {
    files.push_back(file_of(name));
    link(files.back(), previous_of(files.back()));
    if (!written.empty() && link(written.front(), files.back())) continue;
    write_safetensors(files.back(), content, Sync::later);
    written.push_back(files.back());
  }
  const std::shared_future<void> synced = std::async(std::launch::async, [files, written, sync = sync_] {
    for (const fs::path& file : written) sync(file);
    std::error_code ignored;
    for (const fs::path& file : files) fs::remove(previous_of(file), ignored);
  });
  for (const std::string& name : names) synced_[name] = synced;
}

void CheckpointFiles::finish() {
  for (const auto& [name, synced] : std::exchange(synced_, {})) synced.get();
}

}  // namespace valbench
