#include "detect/weights/pt_writer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <bit>

#include "base/error.h"
#include "base/file.h"
#include "detect/weights/zip_writer.h"

namespace valbench {
namespace {

using Json = nlohmann::ordered_json;

/// Writes protocol 2, without a memo: equal values are written again.
class PickleWriter {
 public:
  PickleWriter() : out_("\x80\x02") {}

  void op(char code) { out_ += code; }
  void global(const std::string& module, const std::string& name) { out_ += "c" + module + "\n" + name + "\n"; }
  void text(const std::string& value) {
    out_ += 'X';
    little_endian(value.size(), 4);
    out_ += value;
  }
  void integer(std::int64_t value) {
    out_ += "\x8a\x08";
    little_endian(static_cast<std::uint64_t>(value), 8);
  }
  void integers(c10::IntArrayRef values) {
    out_ += '(';
    for (const std::int64_t value : values) integer(value);
    out_ += 't';
  }
  void json(const Json& value) {
    switch (value.type()) {
      case Json::value_t::boolean: out_ += value.get<bool>() ? '\x88' : '\x89'; break;
      case Json::value_t::number_integer:
      case Json::value_t::number_unsigned: integer(value.get<std::int64_t>()); break;
      case Json::value_t::number_float: real(value.get<double>()); break;
      case Json::value_t::string: text(value.get<std::string>()); break;
      case Json::value_t::array:
        out_ += "](";
        for (const Json& item : value) json(item);
        out_ += 'e';
        break;
      case Json::value_t::object:
        out_ += "}(";
        for (const auto& [key, item] : value.items()) {
          text(key);
          json(item);
        }
        out_ += 'u';
        break;
      default: out_ += 'N';
    }
  }
  std::string finish() { return out_ + '.'; }

 private:
  void little_endian(std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out_ += static_cast<char>(value >> (8 * i));
  }
  void real(double value) {
    out_ += 'G';
    const auto bits = std::bit_cast<std::uint64_t>(value);
    for (int shift = 56; shift >= 0; shift -= 8) out_ += static_cast<char>(bits >> shift);
  }

  std::string out_;
};

const char* storage_class(const std::string& name, at::ScalarType dtype) {
  switch (dtype) {
    case at::kHalf: return "HalfStorage";
    case at::kFloat: return "FloatStorage";
    case at::kBFloat16: return "BFloat16Storage";
    case at::kDouble: return "DoubleStorage";
    case at::kLong: return "LongStorage";
    default: throw InputError(fmt::format("tensor {} has dtype {}; weights are fp16, bf16, fp32, fp64 or int64", name, c10::toString(dtype)));
  }
}

/// torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)
void write_tensor(PickleWriter& pickle, const std::string& name, const at::Tensor& tensor, std::size_t key) {
  pickle.global("torch._utils", "_rebuild_tensor_v2");
  pickle.op('(');
  pickle.op('(');
  pickle.text("storage");
  pickle.global("torch", storage_class(name, tensor.scalar_type()));
  pickle.text(std::to_string(key));
  pickle.text("cpu");
  pickle.integer(tensor.numel());
  pickle.op('t');
  pickle.op('Q');
  pickle.integer(0);
  pickle.integers(tensor.sizes());
  pickle.integers(tensor.strides());
  pickle.op('\x89');
  pickle.global("collections", "OrderedDict");
  pickle.op(')');
  pickle.op('R');
  pickle.op('t');
  pickle.op('R');
}

}  // namespace

void write_plain_pt(const std::filesystem::path& file, const NamedTensors& model, const Json& info) {
  std::vector<at::Tensor> tensors;
  PickleWriter pickle;
  pickle.op('}');
  pickle.op('(');
  for (const auto& [key, value] : info.items()) {
    pickle.text(key);
    pickle.json(value);
  }
  pickle.text("model");
  pickle.global("collections", "OrderedDict");
  pickle.op(')');
  pickle.op('R');
  pickle.op('(');
  for (const auto& [name, tensor] : model) {
    tensors.push_back(tensor.detach().cpu().contiguous());
    pickle.text(name);
    write_tensor(pickle, name, tensors.back(), tensors.size() - 1);
  }
  pickle.op('u');
  pickle.op('u');
  ZipWriter zip;
  zip.add("archive/data.pkl", pickle.finish());
  zip.add("archive/byteorder", "little");
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto* bytes = static_cast<const char*>(tensors[i].const_data_ptr());
    zip.add(fmt::format("archive/data/{}", i), {bytes, tensors[i].nbytes()});
  }
  zip.add("archive/version", "3\n");
  write_atomically(file, zip.finish());
}

}  // namespace valbench
