#include "report/report_text.h"

#include <fmt/format.h>

#include <sstream>

namespace valbench {
namespace {

constexpr std::size_t kLongestName = 32;

}  // namespace

std::string duration_text(const Measured& seconds) {
  if (!seconds.value) return "-";
  const double s = *seconds.value;
  return fmt::format("{:.{}f}", s, s >= 100 || s == 0 ? 0 : s >= 10 ? 1 : s >= 1 ? 2 : 3);
}

std::string short_name(const std::string& name) {
  return name.size() <= kLongestName ? name : name.substr(0, kLongestName - 2) + "..";
}

std::string work_text(const RunSpec& spec, const MachineRecord& machine) {
  const std::string device = spec.device == DeviceKind::cuda ? (machine.gpu.empty() ? "GPU" : machine.gpu) : "CPU";
  return fmt::format("{}: {}, {} px, batch {}, {} {} on {}, {} {}", spec.scenario, spec.model, spec.imgsz,
                     spec.batch_size, spec.ranks, spec.ranks == 1 ? "rank" : "ranks", device, spec.epochs,
                     spec.epochs == 1 ? "epoch" : "epochs");
}

void append_wrapped(const std::string& sentence, std::string& out) {
  std::istringstream words(sentence);
  std::string word, line = "-";
  while (words >> word) {
    if (line.size() + 1 + word.size() > kReportWidth) {
      out += line + "\n";
      line.assign(1, ' ');
    }
    line += " " + word;
  }
  out += line + "\n";
}

}  // namespace valbench
