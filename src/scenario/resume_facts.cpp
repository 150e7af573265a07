#include "scenario/resume_facts.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "scenario/layer_table.h"

namespace valbench {
namespace {

using nlohmann::ordered_json;

/// Settings that no number of a training depends on, so that --resume-exact lets them change.
const std::vector<std::string> kFree = {"scenario", "run_id", "round",       "order",        "weights",  "data",
                                        "keep_anchors",
                                        "workers",  "cache",  "device_ids",  "patience",     "save_period", "resume",
                                        "resume_exact", "save_checkpoints", "nosave", "oversubscribed", "profile", "verify",
                                        "folder",   "notices", "hyp_name", "hang_timeout_s"};

bool is_adam(const std::string& optimizer) { return optimizer != to_string(OptimizerKind::sgd); }

void check_exact(const ResumeFacts& facts, const RunSpec& spec) {
  if (facts.spec.empty()) {
    throw InputError("--resume-exact " + facts.file +
                     ": YOLOv5 wrote this file, and its checkpoints hold neither full precision nor what an exact continuation needs. "
                     "Use --resume");
  }
  const ordered_json then = ordered_json::parse(facts.spec, nullptr, /*allow_exceptions=*/false);
  const ordered_json now = ordered_json::parse(run_spec_to_json(spec));
  for (const auto& [key, value] : now.items()) {
    if (std::find(kFree.begin(), kFree.end(), key) != kFree.end() || (then.contains(key) && then.at(key) == value)) continue;
    throw InputError("--resume-exact " + facts.file + ": the training ran with " + key + " " +
                     (then.contains(key) ? then.at(key).dump() : "unknown") + ", this one would with " + value.dump() +
                     ", and its numbers would differ. Run it as it was, or use --resume");
  }
}

}  // namespace

std::string resume_facts_to_json(const ResumeFacts& facts) {
  return ordered_json{{"file", facts.file},           {"epoch", facts.epoch},         {"classes", facts.classes}, {"model", facts.model},
                      {"optimizer", facts.optimizer}, {"options", facts.options}, {"spec", facts.spec}}
      .dump(-1, ' ', /*ensure_ascii=*/true, ordered_json::error_handler_t::replace);
}

ResumeFacts resume_facts_from_json(const std::string& text) {
  try {
    const ordered_json object = ordered_json::parse(text);
    return {object.at("file"),      object.at("epoch"),   object.at("classes"), object.at("model"),
            object.at("optimizer"), object.at("options"), object.at("spec")};
  } catch (const nlohmann::json::exception& error) {
    throw Error(std::string("facts of a checkpoint: ") + error.what());
  }
}

void check_resumable(const ResumeFacts& facts) {
  if (facts.epoch >= 0 && !facts.optimizer.empty()) return;
  throw InputError(facts.file +
                   ": holds weights without optimizer state, as a finished training or an export leaves them: there is nothing to resume. "
                   "Start a new training from it with --weights " + facts.file);
}

int trained_batch_size(const ResumeFacts& facts) {
  const ordered_json then = ordered_json::parse(facts.spec, nullptr, /*allow_exceptions=*/false);
  const auto found = then.is_object() ? then.find("batch_size") : then.end();
  return found != then.end() && found->is_number_integer() ? std::max(0, found->get<int>()) : 0;
}

int resumed_epochs(int epochs, const ResumeFacts& facts) { return epochs < facts.epoch + 1 ? epochs + facts.epoch : epochs; }

void check_resume(const ResumeFacts& facts, const RunSpec& spec, int classes) {
  check_resumable(facts);
  if (facts.classes > 0 && facts.classes != classes) {
    throw InputError(facts.file + ": is of a training on " + std::to_string(facts.classes) + " classes, and " + spec.data.string() + " has " +
                     std::to_string(classes) + ". Resume with the data set that it was trained on");
  }
  if (!facts.model.empty() && !is_model_file(spec.model) && facts.model != spec.model) {
    throw InputError(facts.file + ": is of a training of " + facts.model + ", not of " + spec.model + ". Resume it as " + facts.model);
  }
  if (is_adam(facts.optimizer) != is_adam(to_string(spec.optimizer))) {
    throw InputError(facts.file + ": holds the state of " + facts.optimizer + ", and this training uses " + to_string(spec.optimizer) +
                     ". Resume it with the optimizer that it was trained with");
  }
  // Its results come after the last epoch: of the epochs before the interruption there are snapshots, but no record of what belongs to them.
  if (spec.validation.placement == Placement::deferred) {
    throw InputError(facts.file + ": is of a training with placement deferred, which cannot be resumed: the epochs before would never be "
                     "scored. Start a new training from its weights with --weights " + facts.file);
  }
  if (spec.resume_exact) check_exact(facts, spec);
}

}  // namespace valbench
