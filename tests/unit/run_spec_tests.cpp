#include "scenario/run_spec.h"

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/catch.h"

using namespace valbench;
using Catch::Contains;

namespace {
RunSpec unusual_spec() {
  RunSpec spec;
  spec.scenario = "a \"quoted\" name", spec.run_id = "r02-sharded", spec.round = 2, spec.order = 7;
  spec.weights = "/tmp/weights.safetensors", spec.data = "/tmp/data.yaml", spec.folder = "/tmp/results/r02-sharded";
  spec.imgsz = 96, spec.ranks = 2, spec.device = DeviceKind::cuda, spec.device_ids = {0, 0};
  spec.seed = 18446744073709551615ull, spec.hyp_name = "VOC", spec.hyp = builtin_hyperparameters("VOC");
  spec.label_smoothing = 0.1, spec.amp = AmpMode::bf16, spec.gradient_sync = GradientSync::step;
  spec.cos_lr = true, spec.cache = CacheMode::disk, spec.oversubscribed = true, spec.profile = true;
  spec.validation.placement = Placement::sharded, spec.validation.subset_fraction = 1.0 / 3,
  spec.validation.subset_seed = 9;
  spec.validation.precision = Precision::fp16, spec.validation.shape = BatchShape::square;
  spec.validation.ema = EmaUse::in_place, spec.validation.loss = false;
  return spec;
}
}  // namespace

TEST_CASE("a run spec survives JSON with every field and bit") {
  const RunSpec spec = unusual_spec();
  const RunSpec back = run_spec_from_json(run_spec_to_json(spec));
  CHECK(run_spec_to_json(back) == run_spec_to_json(spec));
  CHECK(back.seed == spec.seed);
  CHECK(back.validation.subset_fraction == spec.validation.subset_fraction);
  CHECK(back.hyp.warmup_epochs == 3.3835);
  CHECK(back.device_ids == spec.device_ids);
  CHECK(back.validation.ema == EmaUse::in_place);
  CHECK(back.folder == spec.folder);
}

TEST_CASE("a missing or wrong field of spec.json is named together with the file") {
  const auto file = std::filesystem::temp_directory_path() / "valbench_run_spec_test.json";
  std::string text = run_spec_to_json(unusual_spec());
  text.replace(text.find("\"sharded\""), 9, "\"shard\"");
  write_atomically(file, text);
  CHECK_THROWS_WITH(read_run_spec(file),
                    Contains(file.string()) && Contains("validation.placement") && Contains("shard"));
  write_atomically(file, "{\"schema_version\": 1}");
  CHECK_THROWS_WITH(read_run_spec(file), Contains("scenario: is missing"));
  write_atomically(file, "half a fi");
  CHECK_THROWS_AS(read_run_spec(file), RecordError);
  std::filesystem::remove(file);
}

TEST_CASE("an integer field that holds a fraction is refused") {
  std::string text = run_spec_to_json(unusual_spec());
  text.replace(text.find("\"imgsz\": 96"), 11, "\"imgsz\": 96.5");
  CHECK_THROWS_WITH(run_spec_from_json(text), Contains("imgsz: is not an integer"));
}

TEST_CASE("an unknown hyperparameter set is answered with the names that exist") {
  CHECK_THROWS_WITH(builtin_hyperparameters("voc"), Contains("scratch-low, scratch-med, scratch-high, VOC"));
  CHECK(builtin_hyperparameters("scratch-low").cls == 0.5);
}
