#include "validate/validator_link.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace valbench {
namespace {

using nlohmann::json;
using Kind = ValidatorOrder::Kind;

std::string order_key(std::int64_t number) { return "validators/order/" + std::to_string(number); }
std::string result_key(std::int64_t number) { return "validators/result/" + std::to_string(number); }
std::string ready_key(int place, std::int64_t number) {
  return "validators/ready/" + std::to_string(place) + "/" + std::to_string(number);
}

constexpr std::pair<Kind, const char*> kNames[] = {{Kind::score, "score"}, {Kind::meet, "meet"}, {Kind::leave, "leave"}};

std::string order_to_json(const ValidatorOrder& order) {
  json object{{"epoch", order.epoch}, {"checksum", order.checksum}};
  for (const auto& [kind, name] : kNames) {
    if (kind == order.kind) object["kind"] = name;
  }
  return object.dump();
}

ValidatorOrder order_from_json(const std::string& text) {
  const json object = json::parse(text);
  ValidatorOrder order{.epoch = object.at("epoch"), .checksum = object.at("checksum")};
  for (const auto& [kind, name] : kNames) {
    if (object.at("kind") == name) return order.kind = kind, order;
  }
  throw Error("rank 0 orders the ranks that validate to do what none of them knows: " + text);
}

// A run record of one validation carries it: doubles read back to the same bits.
std::string result_to_text(const ValidationRecord& result) {
  RunRecord carrier;
  carrier.validations = {result};
  return run_record_to_json(carrier);
}

ValidationRecord result_from_text(const std::string& text) { return run_record_from_json(text).validations.at(0); }

}  // namespace

bool ValidatorLink::all_ready() {
  for (int place = 1; place < group_.world_size(); ++place) {
    if (!store_->look_up(ready_key(place, next_))) return false;
  }
  return true;
}

void ValidatorLink::give(const ValidatorOrder& order) { store_->set(order_key(next_++), order_to_json(order)); }

void ValidatorLink::send(const at::Tensor& state, int epoch, const std::string& checksum) {
  sent_ = next_;
  give({Kind::score, epoch, checksum});
  group_.broadcast(state, 0);
}

void ValidatorLink::meet() {
  give({Kind::meet, 0, {}});
  group_.barrier();
}

void ValidatorLink::leave() { give({Kind::leave, 0, {}}); }

std::optional<ValidationRecord> ValidatorLink::look_up_result() {
  const auto text = store_->look_up(result_key(sent_));
  return text ? std::optional(result_from_text(*text)) : std::nullopt;
}

ValidationRecord ValidatorLink::wait_for_result() { return result_from_text(store_->wait_for(result_key(sent_))); }

ValidatorOrder TrainerLink::next() {
  ++number_;
  store_->set(ready_key(group_.rank(), number_), "ready");
  return order_from_json(store_->wait_for(order_key(number_)));
}

void TrainerLink::answer(const ValidationRecord& record) { store_->set(result_key(number_), result_to_text(record)); }

}  // namespace valbench
