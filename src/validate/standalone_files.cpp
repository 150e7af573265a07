#include "validate/standalone_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file.h"

namespace valbench {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

/// A CSV field, quoted where it has to be.
std::string field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

struct CurveFile {
  const char* file;
  const char* x;
  MetricCurve ClassCurves::* curve;
};
constexpr CurveFile kCurveFiles[] = {{"P_curve.csv", "confidence", &ClassCurves::precision},
                                     {"R_curve.csv", "confidence", &ClassCurves::recall},
                                     {"F1_curve.csv", "confidence", &ClassCurves::f1},
                                     {"PR_curve.csv", "recall", &ClassCurves::precision_at_recall}};

std::string curve_csv(const CurveFile& file, const StandaloneResult& result) {
  std::string text = file.x;
  for (const ClassRecord& c : result.metrics.classes) text += "," + field(result.names.at(static_cast<std::size_t>(c.cls)));
  text += ",all classes\n";
  for (std::size_t i = 0; i < kCurvePoints; ++i) {
    text += fmt::format("{:.6g}", i == kCurvePoints - 1 ? 1.0 : static_cast<double>(i) / (kCurvePoints - 1));
    double sum = 0;
    for (const ClassCurves& curves : result.curves) {
      sum += (curves.*file.curve)[i];
      text += fmt::format(",{:.6g}", (curves.*file.curve)[i]);
    }
    text += fmt::format(",{:.6g}\n", sum / static_cast<double>(result.curves.size()));
  }
  return text;
}

std::string confusion_csv(const StandaloneResult& result) {
  std::vector<std::string> names = result.names;
  names.emplace_back("background");
  std::string text = "predicted \\ true";
  for (const std::string& name : names) text += "," + field(name);
  text += "\n";
  for (std::size_t predicted = 0; predicted < names.size(); ++predicted) {
    text += field(names[predicted]);
    for (std::size_t truth = 0; truth < names.size(); ++truth) {
      text += fmt::format(",{}", result.confusion.count(static_cast<int>(predicted), static_cast<int>(truth)));
    }
    text += "\n";
  }
  return text;
}

/// Python's round(x, digits): the nearest decimal number, read back.
double rounded(float value, int digits) {
  return std::strtod(fmt::format("{:.{}f}", static_cast<double>(value), digits).c_str(), nullptr);
}

/// Centre box in float32, as YOLOv5 computes it.
struct CentreBox {
  float x, y, w, h;
};
CentreBox centre_box(const Detection& d) { return {(d.x1 + d.x2) / 2, (d.y1 + d.y2) / 2, d.x2 - d.x1, d.y2 - d.y1}; }

ordered_json class_metrics(const ClassRecord& c) {
  return {{"labels", c.labels}, {"precision", c.precision}, {"recall", c.recall}, {"map50", c.map50}, {"map50_95", c.map50_95}};
}

}  // namespace

std::vector<std::string> unique_class_names(const std::vector<std::string>& names) {
  std::map<std::string, int> seen;
  std::vector<std::string> unique;
  for (const std::string& name : names) {
    const int count = ++seen[name];
    unique.push_back(count == 1 ? name : fmt::format("{} ({})", name, count));
  }
  return unique;
}

std::string metrics_to_json(const StandaloneResult& result, const ValSpec& spec, const MachineRecord& machine,
                            const std::vector<std::string>& warnings, const std::optional<CocoScore>& coco) {
  const ValidationRecord& m = result.metrics;
  ordered_json json{{"images", m.images},       {"labels", m.labels}, {"detections", m.detections}, {"precision", m.precision},
                    {"recall", m.recall},       {"map50", m.map50},   {"map50_95", m.map50_95}};
  json["per_class"] = ordered_json::object();
  const auto names = unique_class_names(result.names);
  for (const ClassRecord& c : m.classes) json["per_class"][names.at(static_cast<std::size_t>(c.cls))] = class_metrics(c);
  if (coco) json["coco"] = coco_score_to_json(*coco);
  json["candidate_limit_hits"] = result.candidate_limit_hits;
  json["detection_limit_hits"] = result.detection_limit_hits;
  json["input_shape"] = {spec.batch_size, 3, result.input_h, result.input_w};
  json["seconds"] = result.seconds;
  json["settings"] = ordered_json::parse(val_spec_to_json(spec));
  json["versions"] = machine.versions;
  json["machine"] = {{"cpu", machine.host_cpu}, {"cores", machine.cores}, {"gpu", machine.gpu}, {"os", machine.os}};
  json["warnings"] = warnings;
  return json.dump(2, ' ', /*ensure_ascii=*/false, ordered_json::error_handler_t::replace) + "\n";
}

void write_curve_files(const StandaloneResult& result, const fs::path& folder) {
  for (const CurveFile& file : kCurveFiles) {
    if (!result.curves.empty()) write_atomically(folder / file.file, curve_csv(file, result));
  }
  write_atomically(folder / "confusion_matrix.csv", confusion_csv(result));
}

void write_detection_texts(const StandaloneResult& result, const YoloDataset& dataset, bool confidence, const fs::path& folder) {
  std::map<std::string, std::string> files;  // Images of one stem share a file, as in YOLOv5.
  for (const ImageDetections& image : result.detections) {
    const ImageEntry& entry = dataset.images.at(static_cast<std::size_t>(image.image));
    const auto width = static_cast<float>(entry.width), height = static_cast<float>(entry.height);
    for (const Detection& d : image.detections) {
      const CentreBox box = centre_box(d);
      std::string& text = files[entry.file.stem().string()];
      text += fmt::format("{:g} {:g} {:g} {:g} {:g}", d.cls, box.x / width, box.y / height, box.w / width, box.h / height);
      text += confidence ? fmt::format(" {:g}\n", d.score) : "\n";
    }
  }
  fs::create_directories(folder / "labels");
  for (const auto& [stem, text] : files) write_atomically(folder / "labels" / (stem + ".txt"), text);
}

std::string coco_predictions(const StandaloneResult& result, const YoloDataset& dataset, bool coco_ids) {
  std::string text = "[";
  for (const ImageDetections& image : result.detections) {
    const ordered_json id = coco_image_id(dataset.images.at(static_cast<std::size_t>(image.image)).file);
    for (const Detection& d : image.detections) {
      const CentreBox box = centre_box(d);
      const int cls = static_cast<int>(d.cls);
      const ordered_json row{{"image_id", id},
                             {"category_id", coco_category(cls, coco_ids)},
                             {"bbox", {rounded(box.x - box.w / 2, 3), rounded(box.y - box.h / 2, 3), rounded(box.w, 3), rounded(box.h, 3)}},
                             {"score", rounded(d.score, 5)}};
      text += (text.size() > 1 ? ",\n" : "") + row.dump(-1, ' ', /*ensure_ascii=*/false, ordered_json::error_handler_t::replace);
    }
  }
  return text + "]\n";
}

bool is_coco(const DataConfig& data) {
  return data.val.size() == 1 && data.val.front().generic_string().ends_with("coco/val2017.txt");
}

void write_standalone_files(const StandaloneResult& result, const ValSpec& spec, const YoloDataset& dataset, const DataConfig& data,
                            const MachineRecord& machine, const std::vector<std::string>& warnings) {
  if (spec.plots) write_curve_files(result, spec.folder);
  if (spec.save_txt) write_detection_texts(result, dataset, spec.save_conf, spec.folder);
  std::optional<CocoScore> coco;
  if (spec.save_json) {
    const fs::path predictions = spec.folder / (spec.weights.stem().string() + "_predictions.json");
    write_atomically(predictions, coco_predictions(result, dataset, is_coco(data)));
    coco = score_coco(predictions, dataset, data, spec.folder, spec.torch_threads);
  }
  write_atomically(spec.folder / kMetricsFile, metrics_to_json(result, spec, machine, warnings, coco));
}

}  // namespace valbench
