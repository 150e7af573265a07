#include "detect/weights/pt_archive.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <fstream>
#include <limits>

#include "base/error.h"
#include "detect/weights/pickle_reader.h"

namespace valbench {
namespace {

using Kind = PickleNode::Kind;
constexpr int kMostDimensions = 16;

struct StorageClass {
  std::string_view name;
  at::ScalarType dtype;
};
constexpr StorageClass kStorageClasses[] = {
    {"torch.HalfStorage", at::kHalf},  {"torch.FloatStorage", at::kFloat}, {"torch.BFloat16Storage", at::kBFloat16}, {"torch.DoubleStorage", at::kDouble},
    {"torch.LongStorage", at::kLong},  {"torch.IntStorage", at::kInt},     {"torch.ShortStorage", at::kShort},       {"torch.CharStorage", at::kChar},
    {"torch.ByteStorage", at::kByte},  {"torch.BoolStorage", at::kBool}};

bool is_rebuild(std::string_view name) {
  return name == "torch._utils._rebuild_tensor_v2" || name == "torch._utils._rebuild_parameter" ||
         name == "torch._utils._rebuild_parameter_with_state";
}

std::string first_bytes(const MappedFile& file) {
  const auto bytes = file.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), std::min<std::size_t>(bytes.size(), 512)};
}

}  // namespace

PtArchive::PtArchive(const std::filesystem::path& file) : label_(file.string()), file_(std::make_shared<MappedFile>(file)) {
  const std::string begin = first_bytes(*file_);
  if (begin.empty()) fail("it is empty");
  // torch.save before 1.6: a pickle of the magic number 0x1950a86a20f9469cfc6c first; before 0.4 a tar.
  if (begin.starts_with("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19") || begin.find("ustar") == 257) {
    fail("it is in torch's format before 1.6, which is not read. Load it with Python and torch.save it again");
  }
  if (!begin.starts_with("PK")) fail("it is no zip archive, as torch.save writes it");
  zip_.emplace(file_->bytes(), label_);
  const std::string pickle = pickle_name();
  folder_ = pickle.substr(0, pickle.rfind('/') + 1);
  if (const auto* order = zip_->find(folder_ + "byteorder"); order != nullptr && zip_->content(*order, 16) != "little") {
    fail("its numbers are big-endian");
  }
  graph_ = read_pickle(zip_->content(*zip_->find(pickle), kLargestPickle), label_ + ": " + pickle);
  const std::vector<std::string> dangerous = graph_.dangerous();
  if (!dangerous.empty()) {
    throw InputError(fmt::format("{}: refused: loading this pickle in Python would call {}. Nothing of it was run here; get the file from a "
                                 "source that you trust.", label_, fmt::join(dangerous, ", ")));
  }
}

void PtArchive::fail(const std::string& what) const {
  throw InputError(fmt::format("{}: not a usable .pt file: {}. Allowed: checkpoints and state dicts of YOLOv5 detection models.", label_, what));
}

std::string PtArchive::pickle_name() const {
  std::string found;
  for (const ZipArchive::Entry& entry : zip_->entries()) {
    if (entry.name.ends_with("/constants.pkl")) fail("it is a TorchScript archive. Use the checkpoint that it was exported from");
    if (entry.name != "data.pkl" && !(entry.name.ends_with("/data.pkl") && entry.name.find('/') == entry.name.rfind('/'))) continue;
    if (!found.empty()) fail("it holds two pickles");
    found = entry.name;
  }
  if (found.empty()) fail("this zip archive holds no data.pkl, so torch.save did not write it");
  return found;
}

bool PtArchive::is_tensor(PickleId id) const { return is_rebuild(graph_.class_of(id)); }

at::Tensor PtArchive::tensor(PickleId id) {
  for (int wrapped = 0; graph_.class_of(id).starts_with("torch._utils._rebuild_parameter"); ++wrapped) {
    const PickleNode& args = graph_[graph_[id].args];
    if (args.items.empty() || wrapped > 1) fail("a damaged parameter");
    id = args.items[0];
  }
  if (graph_.class_of(id) != "torch._utils._rebuild_tensor_v2") fail("a tensor of another kind than torch.save writes");
  const PickleNode& args = graph_[graph_[id].args];
  if (args.items.size() < 4 || !graph_.is(args.items[1], Kind::integer)) fail("a damaged tensor");
  const at::Tensor values = storage(args.items[0]);
  const std::int64_t offset = graph_[args.items[1]].integer;
  const std::vector<std::int64_t> sizes = numbers(args.items[2]), strides = numbers(args.items[3]);
  if (sizes.size() != strides.size()) fail("a tensor with as many sizes as strides is expected");
  // The last element must lie in the storage, and no element may stand for several: a file of a kilobyte must not ask for a terabyte.
  // A side of 0 makes a tensor empty, but its strides are still products of the others.
  std::int64_t last = offset, count = 1, product = 1;
  bool sound = offset >= 0;
  for (std::size_t d = 0; d < sizes.size(); ++d) {
    std::int64_t span = 0;
    sound = sound && !__builtin_mul_overflow(count, sizes[d], &count) && count <= values.numel();
    sound = sound && !__builtin_mul_overflow(product, std::max<std::int64_t>(sizes[d], 1), &product);
    sound = sound && !__builtin_mul_overflow(std::max<std::int64_t>(sizes[d], 1) - 1, strides[d], &span) && !__builtin_add_overflow(last, span, &last);
  }
  if (!sound || (count > 0 && last >= values.numel())) {
    fail(fmt::format("a tensor of {} at {} does not lie in its storage of {} elements", fmt::join(sizes, "x"), offset, values.numel()));
  }
  if (count == 0) return at::empty(sizes, values.options());
  return values.as_strided(sizes, strides, offset);
}

std::vector<std::int64_t> PtArchive::numbers(PickleId tuple) const {
  if (graph_.class_of(tuple) == "torch.Size") {
    const PickleNode& args = graph_[graph_[tuple].args];
    if (args.items.size() == 1) tuple = args.items[0];
  }
  if (!graph_.is(tuple, Kind::tuple) || graph_[tuple].items.size() > kMostDimensions) fail("a damaged tensor");
  std::vector<std::int64_t> out;
  for (const PickleId item : graph_[tuple].items) {
    if (!graph_.is(item, Kind::integer) || graph_[item].integer < 0) fail("a tensor with a size or stride that is no number");
    out.push_back(graph_[item].integer);
  }
  return out;
}

at::Tensor PtArchive::storage(PickleId reference) {
  // ('storage', torch.HalfStorage, '0', 'cpu', elements)
  if (!graph_.is(reference, Kind::persistent) || !graph_.is(graph_[reference].args, Kind::tuple)) fail("a tensor without storage");
  const std::vector<PickleId>& parts = graph_[graph_[reference].args].items;
  if (parts.size() != 5 || !graph_.is(parts[1], Kind::global) || !graph_.is(parts[2], Kind::text) || !graph_.is(parts[4], Kind::integer)) {
    fail("a damaged reference to a storage");
  }
  const std::string& type = graph_[parts[1]].text;
  for (const StorageClass& known : kStorageClasses) {
    if (type != known.name) continue;
    const std::string& key = graph_[parts[2]].text;
    const auto [place, fresh] = storages_.try_emplace(key);
    if (fresh) place->second = load_storage(key, known.dtype, graph_[parts[4]].integer);
    if (place->second.scalar_type() != known.dtype) fail("storage " + key + " has two types");
    return place->second;
  }
  fail("a tensor of " + type + " is not supported");
}

at::Tensor PtArchive::load_storage(const std::string& key, at::ScalarType dtype, std::int64_t elements) {
  const ZipArchive::Entry* entry = zip_->find(folder_ + "data/" + key);
  if (entry == nullptr) fail("storage " + key + " is missing");
  const std::uint64_t width = c10::elementSize(dtype);
  if (elements < 0 || static_cast<std::uint64_t>(elements) > entry->size / width || entry->size / width * width != entry->size) {
    fail(fmt::format("storage {} has {} bytes for {} elements of {}", key, entry->size, elements, c10::toString(dtype)));
  }
  const auto count = static_cast<std::int64_t>(entry->size / width);
  if (!zip_->stored(*entry)) {
    // Entries do not share bytes, so what all of them pack is no more than the file has.
    packed_ += entry->packed;
    if (packed_ > file_->bytes().size()) fail("its compressed entries lie on top of each other");
    const std::string bytes = zip_->content(*entry, std::numeric_limits<std::uint64_t>::max());
    at::Tensor copy = at::empty({count}, dtype);
    if (!bytes.empty()) std::memcpy(copy.mutable_data_ptr(), bytes.data(), bytes.size());
    return copy;
  }
  const std::span<const std::byte> bytes = zip_->view(*entry);
  if (bytes.empty()) return at::empty({0}, dtype);
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % width != 0) {
    at::Tensor copy = at::empty({count}, dtype);
    std::memcpy(copy.mutable_data_ptr(), bytes.data(), bytes.size());
    return copy;
  }
  // The mapping is private, so that a write to the tensor stays in memory.
  return at::from_blob(const_cast<std::byte*>(bytes.data()), {count}, [keep = file_](void*) {}, dtype);
}

bool begins_as_zip(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  char begin[2] = {};
  return in.read(begin, 2) && begin[0] == 'P' && begin[1] == 'K';
}

}  // namespace valbench
