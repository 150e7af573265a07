/// \file
/// Whole files: read, and written by rename so that no reader ever sees half of one.
#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace valbench {

/// The content of a file. Throws RecordError with the system's reason.
std::string read_file(const std::filesystem::path& file);

/// When the content is on the disk, where it outlives the machine's own death; that of the process it outlives anyway.
enum class Sync {
  before_rename,
  later,  ///< By sync_file(), or never: for what is large and written often, or of no use after such a death.
};

/// Writes beside `file`, syncs, and renames over it. On failure nothing is left behind and RecordError names the file and the reason
/// (`no space left on device`).
void write_atomically(const std::filesystem::path& file, std::string_view content);
/// The same, from parts that need not lie together in memory. With Sync::later what fails on the way to the disk is sync_file()'s error,
/// when `file` has been replaced.
void write_atomically(const std::filesystem::path& file, std::span<const std::string_view> parts, Sync sync = Sync::before_rename);

/// Blocks until the file's content is on the disk. Throws RecordError with the system's reason.
void sync_file(const std::filesystem::path& file);

}  // namespace valbench
