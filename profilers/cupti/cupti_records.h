/// \file
/// CUPTI's activity records as plain structs.
#pragma once
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "profilers/cupti/cupti_api.h"
#include "trace/activity.h"

namespace valbench {

/// Decodes buffers of records as they come back from CUPTI. One thread at a time.
class CuptiRecords {
 public:
  explicit CuptiRecords(CuptiApi& api) : api_(api) {}

  /// Appends a buffer's records. Names are copied: CUPTI may unload a module with its kernels' names.
  void parse(std::uint8_t* buffer, std::size_t valid_bytes);

  std::vector<std::string>& names() noexcept { return names_; }
  std::vector<Activity>& activities() noexcept { return activities_; }
  std::vector<ApiCall>& calls() noexcept { return calls_; }
  std::int64_t invalid() const noexcept { return invalid_; }
  /// Records of kinds that were not asked for, and buffers that broke off; for health messages.
  std::int64_t unknown() const noexcept { return unknown_; }
  std::int64_t broken_buffers() const noexcept { return broken_buffers_; }

 private:
  void add(const CUpti_Activity& record);
  void add_call(const CUpti_ActivityAPI& record);
  void add_activity(Activity activity, std::uint64_t start, std::uint64_t end);
  std::uint32_t name_index(const std::string& name);

  CuptiApi& api_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::uint32_t> name_indices_;
  std::map<std::pair<bool, CUpti_CallbackId>, std::uint32_t> callback_names_;  ///< By driver or runtime, and id.
  std::vector<Activity> activities_;
  std::vector<ApiCall> calls_;
  std::int64_t invalid_ = 0, unknown_ = 0, broken_buffers_ = 0;
};

}  // namespace valbench
