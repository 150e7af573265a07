/// \file
/// The container of torch.save since torch 1.6: a zip of one pickle and one file per tensor storage.
#pragma once
#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/mapped_file.h"
#include "detect/weights/pickle_graph.h"
#include "detect/weights/zip_archive.h"

namespace valbench {

/// Largest pickle that is read; that of a yolov5x6 checkpoint has 1 MiB.
inline constexpr std::uint64_t kLargestPickle = 64 << 20;

class PtArchive {
 public:
  /// Maps the file and reads its pickle. Throws InputError naming the file: no zip, a zip of something else, truncated, torch's format
  /// before 1.6, or a pickle that would call functions which reach the system (nothing in it is ever run).
  explicit PtArchive(const std::filesystem::path& file);

  const PickleGraph& graph() const { return graph_; }
  const std::string& label() const { return label_; }
  bool is_tensor(PickleId id) const;
  /// A tensor or parameter on the CPU: a view of the mapped file where the entry is stored and aligned (writing to it leaves the file as
  /// it is), else a copy. Views keep the mapping alive. Throws InputError where it does not lie in its storage.
  at::Tensor tensor(PickleId id);
  [[noreturn]] void fail(const std::string& what) const;

 private:
  std::string pickle_name() const;
  at::Tensor storage(PickleId reference);
  at::Tensor load_storage(const std::string& key, at::ScalarType dtype, std::int64_t elements);
  std::vector<std::int64_t> numbers(PickleId tuple) const;

  std::string label_;
  std::shared_ptr<MappedFile> file_;
  std::optional<ZipArchive> zip_;
  std::string folder_;  // `archive` of archive/data.pkl
  PickleGraph graph_;
  std::unordered_map<std::string, at::Tensor> storages_;
  std::uint64_t packed_ = 0;  // bytes of the compressed entries unpacked so far
};

/// Does the file begin as a zip archive? False for files that cannot be read.
bool begins_as_zip(const std::filesystem::path& file);

}  // namespace valbench
