// One rank alone: every collective is the identity.
#include <map>

#include "base/error.h"
#include "comm/communicator.h"

namespace valbench {
namespace {

class Done final : public PendingCollective {
 public:
  void wait() override {}
};

class MemoryStore final : public KeyStore {
 public:
  explicit MemoryStore(std::map<std::string, std::string>& values) : values_(values) {}
  void set(const std::string& key, const std::string& value) override { values_[key] = value; }
  std::optional<std::string> look_up(const std::string& key) override {
    const auto found = values_.find(key);
    return found == values_.end() ? std::nullopt : std::optional(found->second);
  }
  std::string wait_for(const std::string& key) override {
    if (const auto value = look_up(key)) return *value;
    throw Error("one rank alone would wait for the key " + key + " forever");
  }

 private:
  std::map<std::string, std::string>& values_;
};

class SingleCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int world_size() const override { return 1; }
  std::unique_ptr<PendingCollective> all_reduce_sum(at::Tensor, CallSite) override { return std::make_unique<Done>(); }
  void broadcast(at::Tensor, int, CallSite) override {}
  void barrier(CallSite) override {}
  std::vector<std::vector<std::byte>> gather_bytes(std::span<const std::byte> bytes, int, CallSite) override {
    return {{bytes.begin(), bytes.end()}};
  }
  std::vector<std::byte> broadcast_bytes(std::span<const std::byte> bytes, int, CallSite) override {
    return {bytes.begin(), bytes.end()};
  }
  std::vector<CollectiveEvent> take_events() override { return {}; }
  void set_epoch(int) override {}
  Communicator& make_group(const std::string&, const std::vector<int>&, bool) override { return *this; }
  std::unique_ptr<KeyStore> open_store() override { return std::make_unique<MemoryStore>(values_); }

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace

std::unique_ptr<Communicator> make_single_communicator() { return std::make_unique<SingleCommunicator>(); }

}  // namespace valbench
