#include "metrics/coco_json.h"

#include <simdjson.h>

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>

#include "base/error.h"

namespace valbench {
namespace {

namespace dom = simdjson::dom;
using Id = std::variant<std::int64_t, std::string>;

std::string text_of(const Id& id) {
  return std::holds_alternative<std::string>(id) ? '`' + std::get<std::string>(id) + '`'
                                                 : std::to_string(std::get<std::int64_t>(id));
}

/// Ids in ascending order, and the way from an id to its index.
class IdTable {
 public:
  void add(Id id) { ids_.push_back(std::move(id)); }

  void close(const std::string& list) {
    std::sort(ids_.begin(), ids_.end());
    if (!ids_.empty() && ids_.front().index() != ids_.back().index()) {
      throw InputError(list + ": some ids are numbers and some strings (" + text_of(ids_.front()) + ", " +
                       text_of(ids_.back()) + "); write all in one way");
    }
    const auto twice = std::adjacent_find(ids_.begin(), ids_.end());
    if (twice != ids_.end())
      throw InputError(list + ": the id " + text_of(*twice) + " occurs twice; give each its own");
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      if (const auto* number = std::get_if<std::int64_t>(&ids_[i]))
        numbers_.emplace(*number, i);
      else
        texts_.emplace(std::get<std::string>(ids_[i]), i);
    }
  }

  std::uint32_t size() const { return static_cast<std::uint32_t>(ids_.size()); }

  std::optional<std::uint32_t> find(std::int64_t id) const { return find_in(numbers_, id); }
  std::optional<std::uint32_t> find(std::string_view id) const { return find_in(texts_, id); }

 private:
  template <typename Map, typename Key>
  static std::optional<std::uint32_t> find_in(const Map& map, const Key& key) {
    const auto at = map.find(key);
    return at == map.end() ? std::nullopt : std::optional(static_cast<std::uint32_t>(at->second));
  }

  std::vector<Id> ids_;
  std::unordered_map<std::int64_t, std::size_t> numbers_;
  std::unordered_map<std::string_view, std::size_t> texts_;  // views of ids_, which no longer changes
};

Id id_of(dom::element value) {
  if (value.type() == dom::element_type::STRING) return std::string(std::string_view(value.get_string()));
  return std::int64_t(value.get_int64());
}

std::optional<std::uint32_t> index_of(dom::element value, const IdTable& table) {
  if (value.type() == dom::element_type::STRING) return table.find(std::string_view(value.get_string()));
  return table.find(std::int64_t(value.get_int64()));
}

template <typename Record>
void read_box(dom::element value, Record& record) {
  double* const sides[] = {&record.x, &record.y, &record.w, &record.h};
  std::size_t count = 0;
  for (auto side : value.get_array()) {
    if (count < 4) *sides[count] = side.get_double();
    ++count;
  }
  if (count != 4) throw InputError("`bbox` has " + std::to_string(count) + " numbers; give x, y, width, height");
}

bool flag_of(dom::element value) {
  if (value.type() == dom::element_type::BOOL) return value.get_bool();
  return std::int64_t(value.get_int64()) != 0;
}

void need(bool present, const char* field) {
  if (!present) throw InputError(std::string("there is no `") + field + "`; every entry needs one");
}

/// A file as JSON, and its name in every error.
class JsonFile {
 public:
  explicit JsonFile(const std::filesystem::path& file) : name_(file.string()) {
    if (simdjson::padded_string::load(name_).get(text_) != simdjson::SUCCESS) {
      throw InputError(name_ + ": the file cannot be read; check that it exists");
    }
  }
  const std::string& name() const { return name_; }

  /// The whole file as a tree, which lives as long as this object.
  dom::element root() {
    dom::element root;
    if (const auto error = parser_.parse(text_).get(root)) {
      throw InputError(name_ + ": this is no valid JSON: " + simdjson::error_message(error));
    }
    return root;
  }

  /// The list of that name in the root.
  dom::array list(dom::element root, const char* name) const {
    dom::array array;
    if (root[name].get(array) == simdjson::SUCCESS) return array;
    throw InputError(name_ + ": there is no list `" + name +
                     "`; give the COCO file with images, annotations, categories");
  }

  /// Calls `entry(object)` for each object of a list; errors name it as `list[3]`.
  template <typename Entry>
  void each(dom::array array, const std::string& list, Entry entry) const {
    std::size_t index = 0;
    const auto where = [&] { return name_ + ": " + list + '[' + std::to_string(index) + "]: "; };
    try {
      for (auto value : array) {
        entry(dom::object(value.get_object()));
        ++index;
      }
    } catch (const simdjson::simdjson_error& error) {
      throw InputError(where() + error.what() + "; write it as in the COCO format");
    } catch (const InputError& error) {
      throw InputError(where() + error.what());
    }
  }

 private:
  std::string name_;
  simdjson::padded_string text_;
  dom::parser parser_;
};

void read_ids(const JsonFile& file, dom::array array, const char* list, IdTable& table) {
  file.each(array, list, [&](dom::object object) {
    bool found = false;
    for (const auto field : object) {
      if (field.key != "id") continue;
      table.add(id_of(field.value)), found = true;
    }
    need(found, "id");
  });
  table.close(file.name() + ": " + list);
}

void read_labels(const JsonFile& file, dom::array array, const IdTable& images, const IdTable& categories,
                 CocoSet& set) {
  IdTable ids;
  file.each(array, "annotations", [&](dom::object object) {
    CocoLabel label;
    std::optional<std::uint32_t> image, category;
    bool has_image = false, has_category = false, has_box = false, has_area = false, has_id = false;
    for (const auto field : object) {
      const std::string_view key = field.key;
      if (key == "image_id")
        image = index_of(field.value, images), has_image = true;
      else if (key == "category_id")
        category = index_of(field.value, categories), has_category = true;
      else if (key == "bbox")
        read_box(field.value, label), has_box = true;
      else if (key == "area")
        label.area = field.value.get_double(), has_area = true;
      else if (key == "iscrowd")
        label.crowd = flag_of(field.value);
      else if (key == "id") {
        const Id id = id_of(field.value);
        label.zero_id = id == Id(std::int64_t{0}), has_id = true;
        ids.add(id);
      }
    }
    need(has_image, "image_id"), need(has_category, "category_id"), need(has_box, "bbox"), need(has_area, "area");
    need(has_id, "id");
    if (!image || !category) return;
    label.image = *image, label.category = *category;
    set.labels.push_back(label);
  });
  ids.close(file.name() + ": annotations");
}

void read_detections(const JsonFile& file, dom::array array, const IdTable& images, const IdTable& categories,
                     CocoSet& set) {
  file.each(array, "detections", [&](dom::object object) {
    CocoDetection detection;
    std::optional<std::uint32_t> image, category;
    bool has_image = false, has_category = false, has_box = false, has_score = false;
    for (const auto field : object) {
      const std::string_view key = field.key;
      if (key == "image_id")
        image = index_of(field.value, images), has_image = true;
      else if (key == "category_id")
        category = index_of(field.value, categories), has_category = true;
      else if (key == "bbox")
        read_box(field.value, detection), has_box = true;
      else if (key == "score")
        detection.score = field.value.get_double(), has_score = true;
    }
    need(has_image, "image_id"), need(has_category, "category_id"), need(has_box, "bbox"), need(has_score, "score");
    if (!image)
      throw InputError("its `image_id` is not among the images of the ground truth; score the matching pair of files");
    if (!category) return;
    detection.image = *image, detection.category = *category;
    set.detections.push_back(detection);
  });
}

}  // namespace

CocoSet read_coco_set(const std::filesystem::path& ground_truth, const std::filesystem::path& detections) {
  CocoSet set;
  IdTable images, categories;
  JsonFile truth(ground_truth), results(detections);
  const dom::element root = truth.root();
  read_ids(truth, truth.list(root, "images"), "images", images);
  read_ids(truth, truth.list(root, "categories"), "categories", categories);
  read_labels(truth, truth.list(root, "annotations"), images, categories, set);
  set.images = images.size(), set.categories = categories.size();
  dom::array rows;
  if (results.root().get(rows) != simdjson::SUCCESS) {
    throw InputError(results.name() + ": this is no list of detections; give a COCO results file");
  }
  read_detections(results, rows, images, categories, set);
  return set;
}

}  // namespace valbench
