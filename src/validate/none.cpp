// placement: none. Training alone: the floor that every other strategy is held against.
#include "validate/make_strategy.h"

namespace valbench {
namespace {

class NoneStrategy final : public ValidationStrategy {
 public:
  bool validates() const override { return false; }
  void submit(ModelSnapshot) override {}
  std::vector<ValidationResult> take_ready() override { return {}; }
  std::vector<ValidationResult> drain() override { return {}; }
};

}  // namespace

std::unique_ptr<ValidationStrategy> make_none_strategy(const ValidationContext&) {
  return std::make_unique<NoneStrategy>();
}

}  // namespace valbench
