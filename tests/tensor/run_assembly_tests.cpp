// From what the ranks measured to one record.
#include "train/run_assembly.h"

#include "tests/support/catch.h"

using namespace valbench;

TEST_CASE("what a rank has to say reaches the record, after what rank 0 knew, rank by rank") {
  const auto communicator = make_single_communicator();
  RankResult validator;
  validator.warnings = {"cache gpu: the 40 validation batches of rank 1 need 6100 MiB"};
  validator.invalid_reasons = {"rank 1 changed its weights"};
  std::vector<RankResult> all = gather_results(*communicator, validator);
  REQUIRE(all.size() == 1);
  CHECK(all.front().warnings == validator.warnings);
  CHECK(all.front().invalid_reasons == validator.invalid_reasons);
  RankResult rank0;
  rank0.warnings = {"batch_size max: 16 images"};
  all.insert(all.begin(), rank0);
  RunRecord record;
  record.warnings = {"2 label files left out"};
  record.spec.ranks = 2;
  record.spec.validation.placement = Placement::dedicated;
  assemble_record(all, record);
  CHECK(record.warnings == std::vector<std::string>{"2 label files left out", "batch_size max: 16 images", validator.warnings.front()});
}
