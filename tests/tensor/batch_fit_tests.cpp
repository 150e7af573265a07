// --batch-size -1: from measured memory to a batch.
#include "train/batch_fit.h"

#include "tests/support/catch.h"

using namespace valbench;
using Catch::Contains;

namespace {

/// A GPU on which a step takes 500 MiB and 100 MiB an image, and which holds batches up to `fits`.
std::vector<BatchMemory> measured_on(int fits) {
  return measure_batches([&](int batch) { return batch > fits ? std::nullopt : std::optional<double>(500 + 100.0 * batch); });
}

}  // namespace

TEST_CASE("batches of 1, 2, 4, 8 and 16 are measured, up to the first that does not fit") {
  CHECK(measured_on(100).size() == 5);
  CHECK(measured_on(100).back().batch == 16);
  CHECK(measured_on(7).back().batch == 4);
  CHECK(measured_on(0).empty());
}

TEST_CASE("the batch fills four fifths of the memory that was free") {
  const BatchChoice choice = choose_batch(measured_on(100), 10'000);
  CHECK(choice.batch == 75);  // 0.8 * 10000 = 500 + 75 * 100
  CHECK_THAT(choice.sentence, Contains("--batch-size -1: batch 75: 500 MiB + 100.0 MiB an image take 80 % of the 10000 MiB"));
}

TEST_CASE("an answer outside of 1 to 1024 becomes 16") {
  CHECK(choose_batch(measured_on(100), 1'000'000).batch == 16);
  CHECK(choose_batch(measured_on(100), 600).batch == 16);
  const std::vector<BatchMemory> flat = {{1, 100}, {2, 100}, {4, 100}, {8, 100}, {16, 100}};
  CHECK(choose_batch(flat, 1'000).batch == 16);
}

TEST_CASE("no batch is chosen that is larger than one that did not fit") {
  CHECK(choose_batch(measured_on(7), 10'000).batch == 4);
  CHECK(choose_batch(measured_on(7), 900).batch == 2);
  CHECK(choose_batch(measured_on(7), 100).batch == 4);
  CHECK(choose_batch(measured_on(1), 10'000).batch == 1);
  CHECK(choose_batch(measured_on(0), 10'000).batch == 1);
}
