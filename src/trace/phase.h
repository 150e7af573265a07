/// \file
/// The phases of a run, with the dotted names that NVTX ranges, records and traces show (design §7).
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace valbench {

enum class Phase : std::uint8_t {
  train_epoch, train_step, train_data, train_h2d, train_forward, train_loss, train_backward, train_sync, train_optimizer, train_ema,
  val_epoch, val_batch, val_data, val_h2d, val_forward, val_loss, val_nms, val_match, val_gather, val_metrics, val_broadcast, val_wait,
  val_plots, val_json,
  checkpoint_save, sync_wait, verify,
};
inline constexpr int kPhaseCount = static_cast<int>(Phase::verify) + 1;

/// Dotted name: `train.forward`.
constexpr std::string_view phase_name(Phase phase) {
  constexpr std::array<std::string_view, kPhaseCount> names = {
      "train.epoch", "train.step", "train.data", "train.h2d", "train.forward", "train.loss", "train.backward", "train.sync",
      "train.optimizer", "train.ema",
      "val.epoch", "val.batch", "val.data", "val.h2d", "val.forward", "val.loss", "val.nms", "val.match", "val.gather",
      "val.metrics", "val.broadcast", "val.wait", "val.plots", "val.json",
      "checkpoint.save", "sync.wait", "verify"};
  return names[static_cast<std::size_t>(phase)];
}

}  // namespace valbench
