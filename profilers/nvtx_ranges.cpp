#include "profilers/nvtx_ranges.h"

#include <nvtx3/nvToolsExt.h>

#include <string>

namespace valbench {
namespace {

enum class Category : std::uint32_t { data = 1, compute, comm, sync, io };

struct Look {
  Category category;
  std::uint32_t argb;
};

constexpr Look look_of(Phase phase) {
  switch (phase) {
    case Phase::train_epoch:
      return {Category::compute, 0xff1f77b4};
    case Phase::train_step:
      return {Category::compute, 0xff4c9ed9};
    case Phase::train_data:
      return {Category::data, 0xffbcbd22};
    case Phase::train_h2d:
      return {Category::data, 0xffdbdb8d};
    case Phase::train_forward:
      return {Category::compute, 0xff2ca02c};
    case Phase::train_loss:
      return {Category::compute, 0xff98df8a};
    case Phase::train_backward:
      return {Category::compute, 0xff17becf};
    case Phase::train_sync:
      return {Category::comm, 0xff9467bd};
    case Phase::train_optimizer:
      return {Category::compute, 0xff8c564b};
    case Phase::train_ema:
      return {Category::compute, 0xffc49c94};
    case Phase::val_epoch:
      return {Category::compute, 0xffff7f0e};
    case Phase::val_batch:
      return {Category::compute, 0xffffbb78};
    case Phase::val_data:
      return {Category::data, 0xffc7c730};
    case Phase::val_h2d:
      return {Category::data, 0xffe3e3a0};
    case Phase::val_forward:
      return {Category::compute, 0xffe377c2};
    case Phase::val_loss:
      return {Category::compute, 0xfff7b6d2};
    case Phase::val_nms:
      return {Category::compute, 0xffd62728};
    case Phase::val_match:
      return {Category::compute, 0xffff9896};
    case Phase::val_gather:
      return {Category::comm, 0xffaa7fd0};
    case Phase::val_metrics:
      return {Category::compute, 0xffe7969c};
    case Phase::val_broadcast:
      return {Category::comm, 0xffc5b0d5};
    case Phase::val_wait:
      return {Category::sync, 0xffff7f7f};
    case Phase::val_plots:
      return {Category::io, 0xff9edae5};
    case Phase::val_json:
      return {Category::io, 0xff17becf};
    case Phase::checkpoint_save:
      return {Category::io, 0xff7f7f7f};
    case Phase::sync_wait:
      return {Category::sync, 0xffff0000};
    case Phase::verify:
      return {Category::compute, 0xffc7c7c7};
  }
  return {Category::compute, 0xffffffff};
}

constexpr bool spans_threads(Phase phase) { return phase == Phase::train_epoch || phase == Phase::val_epoch; }

nvtxEventAttributes_t attributes(nvtxStringHandle_t name, Look look, std::int64_t number) {
  nvtxEventAttributes_t event{};
  event.version = NVTX_VERSION;
  event.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
  event.category = static_cast<std::uint32_t>(look.category);
  event.colorType = NVTX_COLOR_ARGB;
  event.color = look.argb;
  event.payloadType = NVTX_PAYLOAD_TYPE_INT64;
  event.payload.llValue = number;
  // Registered, because Nsight Systems starts captures only on registered strings.
  event.messageType = NVTX_MESSAGE_TYPE_REGISTERED;
  event.message.registered = name;
  return event;
}

}  // namespace

NvtxRanges::NvtxRanges() : domain_(nvtxDomainCreateA("valbench")) {
  constexpr std::array<const char*, 5> kCategories = {"data", "compute", "comm", "sync", "io"};
  for (std::uint32_t i = 0; i < kCategories.size(); ++i) nvtxDomainNameCategoryA(domain_, i + 1, kCategories[i]);
  for (std::size_t i = 0; i < names_.size(); ++i) {
    names_[i] = nvtxDomainRegisterStringA(domain_, std::string(phase_name(static_cast<Phase>(i))).c_str());
  }
  window_name_ = nvtxDomainRegisterStringA(domain_, "bench.window");
}

void NvtxRanges::span_begin(Phase phase, std::int64_t number) noexcept {
  const auto index = static_cast<std::size_t>(phase);
  const nvtxEventAttributes_t event = attributes(names_[index], look_of(phase), number);
  if (spans_threads(phase)) {
    open_[index] = nvtxDomainRangeStartEx(domain_, &event);
  } else {
    nvtxDomainRangePushEx(domain_, &event);
  }
}

void NvtxRanges::span_end(Phase phase, std::int64_t) noexcept {
  if (spans_threads(phase)) {
    nvtxDomainRangeEnd(domain_, open_[static_cast<std::size_t>(phase)]);
  } else {
    nvtxDomainRangePop(domain_);
  }
}

void NvtxRanges::window_begin() noexcept {
  const nvtxEventAttributes_t event = attributes(window_name_, {Category::compute, 0xff000000}, 0);
  open_window_ = nvtxDomainRangeStartEx(domain_, &event);
}

void NvtxRanges::window_end() noexcept { nvtxDomainRangeEnd(domain_, open_window_); }

}  // namespace valbench
