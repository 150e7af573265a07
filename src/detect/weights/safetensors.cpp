#include "detect/weights/safetensors.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/mapped_file.h"

namespace valbench {
namespace {

using Json = nlohmann::ordered_json;
static_assert(std::endian::native == std::endian::little, "tensors are written as they lie in memory");

constexpr std::uint64_t kLargestHeader = 100'000'000;  // as the reference implementation

struct DtypeName {
  const char* name;
  at::ScalarType dtype;
};
constexpr DtypeName kDtypes[] = {
    {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf}, {"BF16", at::kBFloat16}, {"I64", at::kLong},
    {"I32", at::kInt},    {"I16", at::kShort}, {"I8", at::kChar},  {"U8", at::kByte},       {"BOOL", at::kBool}};

struct Extent {
  std::string name;
  at::ScalarType dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin, end;  // bytes after the header
};

/// Reads one file; every complaint names it.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& file)
      : file_(file),
        mapped_(std::make_shared<MappedFile>(file)),
        bytes_(reinterpret_cast<const char*>(mapped_->bytes().data()), mapped_->bytes().size()) {}

  SafetensorsFile read() {
    const Json header = parse_header();
    SafetensorsFile content;
    std::vector<Extent> extents;
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") {
        content.metadata = metadata(entry);
      } else {
        extents.push_back(extent(name, entry));
      }
    }
    std::stable_sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) {
      return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    check_layout(extents);
    for (const Extent& e : extents) content.tensors.emplace_back(e.name, tensor(e));
    return content;
  }

 private:
  /// A view of the file where it lies aligned there, so that what nobody uses is never read; else a copy.
  at::Tensor tensor(const Extent& e) const {
    std::byte* data = mapped_->bytes().data() + data_begin_ + e.begin;
    if (e.end > e.begin && reinterpret_cast<std::uintptr_t>(data) % c10::elementSize(e.dtype) == 0) {
      return at::from_blob(data, e.shape, [keep = mapped_](void*) {}, e.dtype);
    }
    at::Tensor copy = at::empty(e.shape, e.dtype);
    if (e.end > e.begin) std::memcpy(copy.data_ptr(), data, e.end - e.begin);
    return copy;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(
        fmt::format("{}: not a usable safetensors file: {}. Copy or export it again.", file_.string(), what));
  }

  Json parse_header() {
    if (bytes_.size() < 8) fail(fmt::format("truncated: {} bytes, the header length alone takes 8", bytes_.size()));
    std::uint64_t length = 0;
    std::memcpy(&length, bytes_.data(), 8);
    if (length > kLargestHeader) fail(fmt::format("header length {} is above {}", length, kLargestHeader));
    if (length > bytes_.size() - 8)
      fail(fmt::format("truncated: header of {} bytes in a file of {}", length, bytes_.size()));
    data_begin_ = 8 + length;
    const Json header =
        Json::parse(bytes_.begin() + 8, bytes_.begin() + static_cast<std::ptrdiff_t>(data_begin_), nullptr,
                    /*allow_exceptions=*/false);
    if (!header.is_object()) fail("the header is not a JSON object");
    return header;
  }

  std::map<std::string, std::string> metadata(const Json& entry) const {
    std::map<std::string, std::string> out;
    if (!entry.is_object()) fail("__metadata__ is not an object");
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) fail(fmt::format("__metadata__.{} is not a string", key));
      out[key] = value.get<std::string>();
    }
    return out;
  }

  Extent extent(const std::string& name, const Json& entry) const {
    const auto number = [](const Json& value) { return value.is_number_unsigned(); };
    if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string() || !entry.contains("shape") ||
        !entry["shape"].is_array() || !entry.contains("data_offsets") || !entry["data_offsets"].is_array() ||
        entry["data_offsets"].size() != 2 || !std::all_of(entry["shape"].begin(), entry["shape"].end(), number) ||
        !std::all_of(entry["data_offsets"].begin(), entry["data_offsets"].end(), number)) {
      fail(fmt::format("tensor {} has no valid dtype, shape and data_offsets", name));
    }
    Extent out{.name = name,
               .dtype = dtype(name, entry["dtype"]),
               .begin = entry["data_offsets"][0],
               .end = entry["data_offsets"][1]};
    // A side of 0 makes a tensor empty, but its strides are still products of the others.
    std::uint64_t bytes = c10::elementSize(out.dtype), strides = bytes;
    for (const Json& side : entry["shape"]) {
      const std::uint64_t n = side;
      if (n != 0 && strides > std::numeric_limits<std::int64_t>::max() / n)
        fail(fmt::format("tensor {} is too large", name));
      bytes *= n;
      strides *= std::max<std::uint64_t>(n, 1);
      out.shape.push_back(static_cast<std::int64_t>(n));
    }
    if (out.end < out.begin || out.end - out.begin != bytes) {
      fail(fmt::format("tensor {} needs {} bytes, its data_offsets are [{}, {}]", name, bytes, out.begin, out.end));
    }
    return out;
  }

  at::ScalarType dtype(const std::string& tensor, const std::string& name) const {
    std::string known;
    for (const DtypeName& each : kDtypes) {
      if (name == each.name) return each.dtype;
      known += (known.empty() ? "" : ", ") + std::string(each.name);
    }
    fail(fmt::format("tensor {} has the unknown dtype {} (known: {})", tensor, name, known));
  }

  // Every byte belongs to exactly one tensor.
  void check_layout(const std::vector<Extent>& sorted) const {
    std::uint64_t end = 0;
    for (const Extent& e : sorted) {
      if (e.begin < end)
        fail(fmt::format("tensor {} begins at byte {} inside another tensor that ends at {}", e.name, e.begin, end));
      if (e.begin > end) fail(fmt::format("bytes {} to {} before tensor {} belong to no tensor", end, e.begin, e.name));
      end = e.end;
    }
    const std::uint64_t present = bytes_.size() - data_begin_;
    if (end > present) fail(fmt::format("truncated: tensors take {} bytes, {} are there", end, present));
    if (end < present) fail(fmt::format("{} bytes follow the last tensor", present - end));
  }

  std::filesystem::path file_;
  std::shared_ptr<MappedFile> mapped_;
  std::string_view bytes_;
  std::uint64_t data_begin_ = 0;
};

const char* dtype_name(const std::string& tensor, at::ScalarType dtype) {
  for (const DtypeName& each : kDtypes) {
    if (dtype == each.dtype) return each.name;
  }
  throw InputError(
      fmt::format("tensor {} has dtype {}, which safetensors cannot hold here. Convert it to a float or integer dtype.",
                  tensor, c10::toString(dtype)));
}

}  // namespace

SafetensorsFile read_safetensors(const std::filesystem::path& file) { return Reader(file).read(); }

void write_safetensors(const std::filesystem::path& file, const SafetensorsFile& content, Sync sync) {
  Json header = Json::object();
  if (!content.metadata.empty()) header["__metadata__"] = content.metadata;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : content.tensors) {
    if (name == "__metadata__" || header.contains(name)) {
      throw InputError(fmt::format("{}: two tensors are named {}. Names must be unique.", file.string(), name));
    }
    header[name] = {{"dtype", dtype_name(name, tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, offset + tensor.nbytes()}}};
    offset += tensor.nbytes();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // tensors begin at a multiple of 8
  const std::uint64_t length = text.size();
  std::string begin(8, '\0');
  std::memcpy(begin.data(), &length, 8);
  begin += text;
  std::vector<std::string_view> parts{begin};
  std::vector<at::Tensor> row_major;  // Written from where they lie: a checkpoint of yolov5x has 1.2 GB.
  for (const auto& [name, tensor] : content.tensors) {
    row_major.push_back(tensor.detach().cpu().contiguous());
    if (row_major.back().nbytes() > 0) parts.emplace_back(static_cast<const char*>(row_major.back().const_data_ptr()), row_major.back().nbytes());
  }
  write_atomically(file, parts, sync);
}

}  // namespace valbench
