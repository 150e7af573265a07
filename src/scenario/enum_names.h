/// \file
/// The enumerators' names: one table per type, used by records, the scenario parser and error messages.
#pragma once
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scenario/run_spec.h"

namespace valbench {

/// Enumerators of E with the names that scenarios and records use. Specialised below for every enumeration of
/// run_spec.h.
template <class E>
inline constexpr auto kEnumNames = nullptr;

template <>
inline constexpr std::array kEnumNames<Placement> = {
    std::pair{Placement::none, "none"},           std::pair{Placement::rank0, "rank0"},
    std::pair{Placement::sharded, "sharded"},     std::pair{Placement::dedicated, "dedicated"},
    std::pair{Placement::overlapped, "overlapped"}, std::pair{Placement::deferred, "deferred"}};
template <>
inline constexpr std::array kEnumNames<ShardMode> = {std::pair{ShardMode::batches, "batches"},
                                                     std::pair{ShardMode::batches_balanced, "batches_balanced"},
                                                     std::pair{ShardMode::images_padded, "images_padded"}};
template <>
inline constexpr std::array kEnumNames<Overlap> = {std::pair{Overlap::rank0, "rank0"}, std::pair{Overlap::sharded, "sharded"}};
template <>
inline constexpr std::array kEnumNames<ScoreMode> = {std::pair{ScoreMode::blocking, "blocking"},
                                                     std::pair{ScoreMode::background, "background"}};
template <>
inline constexpr std::array kEnumNames<LoaderLife> = {std::pair{LoaderLife::persistent, "persistent"},
                                                      std::pair{LoaderLife::per_validation, "per_validation"}};
template <>
inline constexpr std::array kEnumNames<ValidationCache> = {std::pair{ValidationCache::automatic, "auto"},
                                                           std::pair{ValidationCache::none, "none"},
                                                           std::pair{ValidationCache::ram, "ram"},
                                                           std::pair{ValidationCache::gpu, "gpu"}};
template <>
inline constexpr std::array kEnumNames<VerifyMode> = {std::pair{VerifyMode::last, "last"}, std::pair{VerifyMode::all, "all"},
                                                      std::pair{VerifyMode::none, "none"}};
template <>
inline constexpr std::array kEnumNames<Precision> = {
    std::pair{Precision::automatic, "auto"}, std::pair{Precision::fp32, "fp32"}, std::pair{Precision::fp16, "fp16"},
    std::pair{Precision::bf16, "bf16"}};
template <>
inline constexpr std::array kEnumNames<BatchShape> = {std::pair{BatchShape::rect, "rect"},
                                                      std::pair{BatchShape::square, "square"}};
template <>
inline constexpr std::array kEnumNames<EmaUse> = {std::pair{EmaUse::copy, "copy"},
                                                  std::pair{EmaUse::in_place, "in_place"}};
template <>
inline constexpr std::array kEnumNames<GradientSync> = {std::pair{GradientSync::micro_batch, "micro_batch"},
                                                        std::pair{GradientSync::step, "step"}};
template <>
inline constexpr std::array kEnumNames<DeviceKind> = {std::pair{DeviceKind::cpu, "cpu"},
                                                      std::pair{DeviceKind::cuda, "cuda"}};
template <>
inline constexpr std::array kEnumNames<AmpMode> = {std::pair{AmpMode::off, "off"}, std::pair{AmpMode::fp16, "fp16"},
                                                   std::pair{AmpMode::bf16, "bf16"}};

template <>
inline constexpr std::array kEnumNames<OptimizerKind> = {std::pair{OptimizerKind::sgd, "SGD"},
                                                         std::pair{OptimizerKind::adam, "Adam"},
                                                         std::pair{OptimizerKind::adamw, "AdamW"}};
template <>
inline constexpr std::array kEnumNames<CacheMode> = {
    std::pair{CacheMode::none, "none"}, std::pair{CacheMode::ram, "ram"}, std::pair{CacheMode::disk, "disk"}};
template <>
inline constexpr std::array kEnumNames<Compat> = {std::pair{Compat::v7_0, "v7.0"}, std::pair{Compat::head, "head"}};

/// The enumerator called `name`, or nothing.
template <class E>
std::optional<E> enum_from_name(std::string_view name) {
  for (const auto& [value, text] : kEnumNames<E>) {
    if (name == text) return value;
  }
  return std::nullopt;
}

/// All names of E, in the enumeration's order.
template <class E>
std::vector<std::string> all_enum_names() {
  std::vector<std::string> names;
  for (const auto& entry : kEnumNames<E>) names.emplace_back(entry.second);
  return names;
}

}  // namespace valbench
