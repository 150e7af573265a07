// The zip reader: the directory, and every entry's content.
#include <span>

#include "detect/weights/zip_archive.h"
#include "tests/fuzz/fuzz_input.h"

using namespace valbench;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint64_t kLimit = 1 << 20;
  fuzz::read_or_refuse([&] {
    const auto bytes = std::as_bytes(std::span(data, size));
    const ZipArchive zip(bytes, "input");
    for (const ZipArchive::Entry& entry : zip.entries()) {
      fuzz::require(zip.find(entry.name) == &entry, "an entry is found by its name");
      fuzz::read_or_refuse([&] {
        fuzz::require(zip.content(entry, kLimit).size() == entry.size, "content of the size that the directory says");
      });
      fuzz::read_or_refuse([&] {
        const std::span<const std::byte> view = zip.view(entry);
        fuzz::require(view.data() >= bytes.data() && view.data() + view.size() <= bytes.data() + bytes.size(),
                      "a view inside the file");
      });
    }
  });
  return 0;
}
