// A .pt file as a whole: the input is the file, or its pickle alone, around which a sound archive of two storages is
// made (a fuzzer does not find an archive's checksums).
#include "detect/weights/pt_archive.h"
#include "detect/weights/pt_checkpoint.h"
#include "detect/weights/zip_writer.h"
#include "tests/fuzz/fuzz_input.h"

using namespace valbench;

namespace {

std::string archive_around(std::string_view pickle) {
  ZipWriter zip;
  zip.add("archive/data.pkl", pickle);
  zip.add("archive/byteorder", "little");
  zip.add("archive/data/0", std::string(64, '\x3c'));
  zip.add("archive/data/1", std::string(256, '\x11'));
  return zip.finish();
}

void check(const NamedTensors& tensors) {
  for (const auto& [name, tensor] : tensors) {
    std::int64_t last = tensor.storage_offset();
    for (std::int64_t d = 0; d < tensor.dim(); ++d) last += (tensor.size(d) - 1) * tensor.stride(d);
    const auto bytes = static_cast<std::int64_t>(tensor.storage().nbytes());
    fuzz::require(tensor.numel() == 0 || (last >= 0 && (last + 1) * tensor.element_size() <= bytes),
                  "a tensor inside its storage");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::as_text(data, size);
  const fuzz::InputFile file(input.starts_with("PK") ? std::string(input) : archive_around(input));
  fuzz::read_or_refuse([&] {
    const PtCheckpoint checkpoint = read_pt_checkpoint(file.path());
    check(checkpoint.model);
    check(checkpoint.ema);
    for (const nlohmann::ordered_json* json : {&checkpoint.yaml, &checkpoint.opt, &checkpoint.hyp}) json->dump();
  });
  return 0;
}
