#include "scenario/weights_file.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "scenario/layer_table.h"

namespace valbench {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLengthBytes = 8, kLargestHeader = 100'000'000;
constexpr const char *kFirstWeights = "model.0.conv.weight", *kP6Anchors = "model.33.anchors";

/// Output channels of the first convolution, which differ between all sizes (reference yolov5.md §1.3).
const std::map<std::int64_t, std::string> kModelOfChannels = {
    {16, "yolov5n"}, {32, "yolov5s"}, {48, "yolov5m"}, {64, "yolov5l"}, {80, "yolov5x"}};

/// The header, or null where there is none; `data_bytes` is what follows it.
json read_header(const std::filesystem::path& file, std::uint64_t& data_bytes) {
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  const auto size = in ? static_cast<std::uint64_t>(in.tellg()) : 0;
  char length_bytes[kLengthBytes];
  in.seekg(0);
  std::uint64_t length = 0;
  if (!in.read(length_bytes, kLengthBytes)) return nullptr;
  std::memcpy(&length, length_bytes, kLengthBytes);
  if (length > kLargestHeader || length > size - kLengthBytes) return nullptr;
  std::string text(length, '\0');
  if (!in.read(text.data(), static_cast<std::streamsize>(length))) return nullptr;
  data_bytes = size - kLengthBytes - length;
  return json::parse(text, nullptr, /*allow_exceptions=*/false);
}

/// The last byte that a tensor needs, counted from the end of the header.
std::uint64_t bytes_needed(const json& header) {
  std::uint64_t end = 0;
  for (const auto& [name, tensor] : header.items()) {
    if (name != "__metadata__") end = std::max(end, tensor.at("data_offsets").at(1).get<std::uint64_t>());
  }
  return end;
}

/// The zip archive of a .pt: its directory's end record is in the last 64 KiB of a complete one.
bool is_zip(const std::filesystem::path& file, bool& complete) {
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  const auto size = in ? static_cast<std::uint64_t>(in.tellg()) : 0;
  const std::uint64_t tail_bytes = std::min<std::uint64_t>(size, 65535 + 22);
  std::string begin(4, '\0'), tail(tail_bytes, '\0');
  in.seekg(0);
  if (!in.read(begin.data(), 4) || begin != "PK\3\4") return false;
  in.seekg(static_cast<std::streamoff>(size - tail_bytes));
  in.read(tail.data(), static_cast<std::streamsize>(tail_bytes));
  complete = tail.find("PK\5\6") != std::string::npos;
  return true;
}

}  // namespace

std::string model_of_weights(const std::filesystem::path& file) {
  std::uint64_t data_bytes = 0;
  const json header = read_header(file, data_bytes);
  try {
    if (!header.is_object()) return {};
    const auto known = kModelOfChannels.find(header.at(kFirstWeights).at("shape").at(0).get<std::int64_t>());
    return known == kModelOfChannels.end() ? "" : known->second;
  } catch (const json::exception&) {
    return {};
  }
}

std::string reason_against_weights(const std::filesystem::path& file, const std::string& model) {
  if (bool complete = false; is_zip(file, complete)) {
    return complete ? "" : "is truncated: no directory at the end of the .pt archive (" + file.string() + ")";
  }
  std::uint64_t data_bytes = 0;
  const json header = read_header(file, data_bytes);
  if (!header.is_object()) return "is truncated, or neither a .pt nor a safetensors file (" + file.string() + ")";
  try {
    if (const std::uint64_t needed = bytes_needed(header); needed > data_bytes) {
      return "is truncated: its tensors take " + std::to_string(needed) + " bytes, " + std::to_string(data_bytes) +
             " are there (" + file.string() + ")";
    }
    if (is_model_file(model)) return {};  // What fits by name and shape is loaded.
    const auto first = header.find(kFirstWeights);
    if (first == header.end()) return std::string("holds no YOLOv5 weights: no tensor ") + kFirstWeights;
    const auto channels = first->at("shape").at(0).get<std::int64_t>();
    const auto known = kModelOfChannels.find(channels);
    if (known == kModelOfChannels.end())
      return "holds weights of an unknown model: its first layer has " + std::to_string(channels) + " channels";
    const std::string stored = known->second + (header.contains(kP6Anchors) ? "6" : "");
    if (stored != model) return "holds weights of " + stored + ", but model is " + model;
  } catch (const json::exception&) {
    return "has a damaged safetensors header (" + file.string() + ")";
  }
  return {};
}

}  // namespace valbench
