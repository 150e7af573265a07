#include "base/checksum.h"

#include <set>
#include <vector>

#include "tests/support/catch.h"

using namespace valbench;

TEST_CASE("flipping any single bit or changing the length changes the checksum") {
  std::vector<std::byte> bytes(77, std::byte{0x5a});
  std::set<std::uint64_t> seen{checksum(bytes)};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      bytes[i] ^= std::byte(1 << bit);
      CHECK(seen.insert(checksum(bytes)).second);
      bytes[i] ^= std::byte(1 << bit);
    }
  }
  bytes.push_back(std::byte{0});
  CHECK(seen.insert(checksum(bytes)).second);
  CHECK(checksum_text(0x1234).size() == 16);
}
