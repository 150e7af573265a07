// What may be resumed as what.
#include "scenario/resume_facts.h"

#include "base/error.h"
#include "tests/support/catch.h"

using namespace valbench;
using Catch::Contains;

namespace {

RunSpec a_spec() {
  RunSpec spec;
  spec.epochs = 4;
  spec.data = "/data/data.yaml";
  return spec;
}

ResumeFacts facts_of(const RunSpec& spec) {
  return {"runs/last.safetensors", 1, 3, "yolov5n", to_string(spec.optimizer), "epochs: 4\n", run_spec_to_json(spec)};
}

std::string refusal(const ResumeFacts& facts, const RunSpec& spec, int classes = 3) {
  try {
    check_resume(facts, spec, classes);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("the facts of a checkpoint come back from JSON as they went") {
  const ResumeFacts facts = facts_of(a_spec());
  const ResumeFacts back = resume_facts_from_json(resume_facts_to_json(facts));
  CHECK(back.file == facts.file);
  CHECK(back.epoch == 1);
  CHECK(back.classes == 3);
  CHECK(back.model == facts.model);
  CHECK(back.optimizer == "SGD");
  CHECK(back.options == facts.options);
  CHECK(back.spec == facts.spec);
  CHECK_THROWS_AS(resume_facts_from_json("{}"), Error);
}

TEST_CASE("a checkpoint goes on with its own classes, model and optimizer, and with no others") {
  const RunSpec spec = a_spec();
  const ResumeFacts facts = facts_of(spec);
  CHECK(refusal(facts, spec) == "");
  CHECK_THAT(refusal(facts, spec, 2), Contains("is of a training on 3 classes, and /data/data.yaml has 2"));
  RunSpec other = spec;
  other.model = "yolov5s";
  CHECK_THAT(refusal(facts, other), Contains("is of a training of yolov5n, not of yolov5s"));
  other.model = "own.yaml";
  CHECK(refusal(facts, other) == "");  // Its entries decide.
  other = spec;
  other.optimizer = OptimizerKind::adam;
  CHECK_THAT(refusal(facts, other), Contains("holds the state of SGD, and this training uses Adam"));
  ResumeFacts none = facts;
  none.optimizer = "";
  CHECK_THAT(refusal(none, spec), Contains("holds weights without optimizer state"));
  none = facts;
  none.epoch = -1;
  CHECK_THAT(refusal(none, spec), Contains("there is nothing to resume"));
}

TEST_CASE("an exact continuation refuses every setting that its numbers depend on, and lets the others change") {
  RunSpec spec = a_spec();
  const ResumeFacts facts = facts_of(spec);
  spec.resume_exact = true;
  spec.workers = 7, spec.cache = CacheMode::none, spec.data = "/elsewhere/data.yaml", spec.run_id = "exp2", spec.folder = "/runs/exp2";
  spec.hang_timeout_s = 600;  // The report of a hang says to make it longer.
  CHECK(refusal(facts, spec) == "");
  spec.ranks = 2;
  CHECK_THAT(refusal(facts, spec), Contains("the training ran with ranks 1, this one would with 2"));
  spec.ranks = 1, spec.torch_threads = 3;
  CHECK_THAT(refusal(facts, spec), Contains("torch_threads"));
  spec.torch_threads = 1, spec.hyp.lr0 = 0.02;
  CHECK_THAT(refusal(facts, spec), Contains("with hyp "));
  ResumeFacts foreign = facts;
  foreign.spec = "";
  CHECK_THAT(refusal(foreign, spec), Contains("YOLOv5 wrote this file"));
}

TEST_CASE("a training whose placement is deferred does not go on, and the answer names what works") {
  RunSpec spec = a_spec();
  spec.validation.placement = Placement::deferred;
  CHECK_THAT(refusal(facts_of(spec), spec), Contains("placement deferred, which cannot be resumed") &&
                                                Contains("Start a new training from its weights with --weights runs/last.safetensors"));
}

TEST_CASE("the batch that a training measured is in its checkpoint, and none where YOLOv5 wrote it") {
  RunSpec spec = a_spec();
  spec.batch_size = 37;
  ResumeFacts facts = facts_of(spec);
  CHECK(trained_batch_size(facts) == 37);
  facts.spec = "";
  CHECK(trained_batch_size(facts) == 0);
  facts.spec = "[]";
  CHECK(trained_batch_size(facts) == 0);
}

TEST_CASE("epochs that are trained already are asked for once more, as in YOLOv5") {
  ResumeFacts facts = facts_of(a_spec());
  facts.epoch = 50;
  CHECK(resumed_epochs(100, facts) == 100);
  CHECK(resumed_epochs(51, facts) == 51);
  CHECK(resumed_epochs(50, facts) == 100);
  CHECK(resumed_epochs(3, facts) == 53);
}
