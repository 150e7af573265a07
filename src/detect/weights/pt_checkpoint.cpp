#include "detect/weights/pt_checkpoint.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "detect/weights/pt_archive.h"

namespace valbench {
namespace {

using Kind = PickleNode::Kind;
constexpr int kDeepestModule = 32;
constexpr std::size_t kMostEntries = 100'000;

/// Turns the graph of one file into a checkpoint.
class Interpreter {
 public:
  explicit Interpreter(PtArchive& archive) : archive_(archive), graph_(archive.graph()) {}

  PtCheckpoint run() {
    const PickleId root = graph_.root();
    if (graph_.is(root, Kind::record)) {  // torch.save(model)
      read_model(root);
      return std::move(out_);
    }
    if (!graph_.is(root, Kind::dict)) archive_.fail("it holds neither a checkpoint nor a state dict");
    const PickleId model = graph_.find(root, "model");
    const PickleId state = graph_.find(root, "state_dict");
    if (is_state_dict(root)) {
      out_.model = state_dict(root);
    } else if (graph_.is(model, Kind::record)) {
      read_model(model);
      out_.ema = module_state(graph_.find(root, "ema"));
    } else if (is_state_dict(model) || is_state_dict(state)) {
      out_.model = state_dict(is_state_dict(model) ? model : state);
      if (const PickleId ema = graph_.find(root, "ema"); is_state_dict(ema)) out_.ema = state_dict(ema);
      read_names(graph_.find(root, "names"));
      out_.yaml_file = text(graph_.find(root, "yaml_file"));
      out_.yaml = graph_.to_json(graph_.find(root, "yaml"));
      out_.yaml_text = text(graph_.find(root, "yaml_text"));
    } else {
      archive_.fail(fmt::format("it has no model: its keys are {}", keys(root)));
    }
    read_training(root);
    return std::move(out_);
  }

 private:
  std::string text(PickleId id) const { return graph_.is(id, Kind::text) ? graph_[id].text : ""; }

  std::string keys(PickleId dict) const {
    std::string all;
    for (std::size_t i = 0; i < graph_[dict].items.size() && i < 20; i += 2) all += (all.empty() ? "" : ", ") + text(graph_[dict].items[i]);
    return all.empty() ? "none" : all;
  }

  bool is_state_dict(PickleId id) const {
    if (!graph_.is(id, Kind::dict) || graph_[id].items.empty()) return false;
    const std::vector<PickleId>& items = graph_[id].items;
    for (std::size_t i = 0; i < items.size(); i += 2) {
      if (!graph_.is(items[i], Kind::text) || !archive_.is_tensor(items[i + 1])) return false;
    }
    return true;
  }

  NamedTensors state_dict(PickleId dict) {
    NamedTensors state;
    const std::vector<PickleId>& items = graph_[dict].items;
    for (std::size_t i = 0; i < items.size(); i += 2) state.emplace_back(graph_[items[i]].text, archive_.tensor(items[i + 1]));
    return state;
  }

  void read_model(PickleId model) {
    out_.model_class = graph_.class_of(model);
    out_.model = module_state(model);
    read_names(graph_.find(model, "names"));
    out_.yaml_file = text(graph_.find(model, "yaml_file"));
    out_.yaml = graph_.to_json(graph_.find(model, "yaml"));
    out_.hyp = graph_.to_json(graph_.find(model, "hyp"));
  }

  NamedTensors module_state(PickleId model) {
    NamedTensors state;
    if (model == kNoPickle || graph_.is(model, Kind::none)) return state;
    if (graph_.find(model, "_modules") == kNoPickle) archive_.fail(fmt::format("its model is a {}, no module", graph_.class_of(model)));
    collect(model, "", 0, state);
    if (state.empty()) archive_.fail("its model has no weights");
    return state;
  }

  /// torch's state_dict order: a module's parameters, its buffers, then its children.
  void collect(PickleId module, const std::string& prefix, int depth, NamedTensors& state) {
    refuse_other_tasks(graph_.class_of(module));
    if (depth > kDeepestModule || state.size() > kMostEntries) archive_.fail("its modules are nested without an end");
    add_tensors(graph_.find(module, "_parameters"), prefix, kNoPickle, state);
    add_tensors(graph_.find(module, "_buffers"), prefix, graph_.find(module, "_non_persistent_buffers_set"), state);
    const PickleId children = graph_.find(module, "_modules");
    if (!graph_.is(children, Kind::dict)) return;
    const std::vector<PickleId>& items = graph_[children].items;
    for (std::size_t i = 0; i < items.size(); i += 2) {
      if (++modules_ > kMostEntries) archive_.fail("its modules are nested without an end");
      if (graph_.is(items[i], Kind::text) && graph_.is(items[i + 1], Kind::record)) {
        collect(items[i + 1], prefix + graph_[items[i]].text + ".", depth + 1, state);
      }
    }
  }

  void add_tensors(PickleId dict, const std::string& prefix, PickleId left_out, NamedTensors& state) {
    if (!graph_.is(dict, Kind::dict)) return;
    const std::vector<PickleId>& items = graph_[dict].items;
    for (std::size_t i = 0; i < items.size(); i += 2) {
      const std::string name = text(items[i]);
      if (archive_.is_tensor(items[i + 1]) && !contains(left_out, name)) state.emplace_back(prefix + name, archive_.tensor(items[i + 1]));
    }
  }

  bool contains(PickleId set, const std::string& name) const {
    if (!graph_.is(set, Kind::set)) return false;
    for (const PickleId item : graph_[set].items) {
      if (text(item) == name) return true;
    }
    return false;
  }

  void refuse_other_tasks(std::string_view name) const {
    const std::string_view last = name.substr(name.rfind('.') + 1);
    if (last == "SegmentationModel" || last == "Segment") archive_.fail("it holds a segmentation model");
    if (last == "ClassificationModel" || last == "Classify") archive_.fail("it holds a classification model");
  }

  void read_names(PickleId names) {
    if (graph_.is(names, Kind::list)) {
      for (const PickleId name : graph_[names].items) out_.class_names.push_back(text(name));
    } else if (graph_.is(names, Kind::dict)) {
      for (std::size_t i = 1; i < graph_[names].items.size(); i += 2) out_.class_names.push_back(text(graph_[names].items[i]));
    }
  }

  /// The fallback where the key is missing. A number beyond -high..high, or none at all, is damage.
  std::int64_t whole_number(PickleId root, const char* key, std::int64_t fallback, std::int64_t high) const {
    const std::optional<double> value = graph_.number(graph_.find(root, key));
    if (!value) return fallback;
    if (!(std::abs(*value) <= static_cast<double>(high))) archive_.fail(fmt::format("its {} is {}", key, *value));
    return static_cast<std::int64_t>(*value);
  }

  void read_training(PickleId root) {
    out_.epoch = static_cast<int>(whole_number(root, "epoch", -1, std::numeric_limits<int>::max()));
    out_.best_fitness = graph_.number(graph_.find(root, "best_fitness"));
    out_.updates = whole_number(root, "updates", 0, std::int64_t{1} << 53);
    out_.opt = graph_.to_json(graph_.find(root, "opt"));
    if (out_.opt.is_object() && out_.opt.contains("hyp") && out_.opt["hyp"].is_object()) out_.hyp = out_.opt["hyp"];
    out_.date = text(graph_.find(root, "date"));
    const PickleId optimizer = graph_.find(root, "optimizer");
    if (graph_.is(optimizer, Kind::dict)) read_optimizer(optimizer);
  }

  void read_optimizer(PickleId optimizer) {
    PtOptimizer& read = out_.optimizer.emplace();
    const PickleId groups = graph_.find(optimizer, "param_groups"), state = graph_.find(optimizer, "state");
    if (!graph_.is(groups, Kind::list) || !graph_.is(state, Kind::dict)) archive_.fail("its optimizer has no groups or no state");
    for (const PickleId id : graph_[groups].items) {
      const auto value = [&](const char* key) { return graph_.number(graph_.find(id, key)).value_or(0); };
      PtOptimizer::Group group{value("lr"), value("initial_lr"), value("momentum"), value("weight_decay"), {}};
      const PickleId betas = graph_.find(id, "betas");
      if (graph_.is(betas, Kind::tuple) && !graph_[betas].items.empty()) group.momentum = graph_.number(graph_[betas].items[0]).value_or(0);
      if (const PickleId params = graph_.find(id, "params"); graph_.is(params, Kind::list)) {
        for (const PickleId number : graph_[params].items) group.params.push_back(graph_[number].integer);
      }
      read.groups.push_back(std::move(group));
    }
    const std::vector<PickleId>& items = graph_[state].items;
    for (std::size_t i = 0; i < items.size(); i += 2) {
      if (!graph_.is(items[i], Kind::integer) || !graph_.is(items[i + 1], Kind::dict)) archive_.fail("its optimizer state is damaged");
      auto& tensors = read.state[graph_[items[i]].integer];
      const std::vector<PickleId>& values = graph_[items[i + 1]].items;
      for (std::size_t v = 0; v < values.size(); v += 2) {
        if (archive_.is_tensor(values[v + 1])) tensors[text(values[v])] = archive_.tensor(values[v + 1]);
        else if (const auto number = graph_.number(values[v + 1])) tensors[text(values[v])] = at::scalar_tensor(*number, at::kFloat);
      }
    }
  }

  PtArchive& archive_;
  const PickleGraph& graph_;
  PtCheckpoint out_;
  std::size_t modules_ = 0;
};

}  // namespace

PtCheckpoint read_pt_checkpoint(const std::filesystem::path& file) {
  PtArchive archive(file);
  return Interpreter(archive).run();
}

}  // namespace valbench
