#include "main/commands/train_command_line.h"

namespace valbench {
namespace {

std::string names_of(const TrainOption& option) {
  const std::string aliases = option.aliases;
  return shown_option(option.name) + (aliases.empty() ? "" : "," + aliases);
}

std::string joined_words(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

CLI::Option* add(CLI::App& command, const TrainOption& option) {
  const std::string names = names_of(option), fallback = option.fallback;
  if (option.kind == OptionKind::flag) return command.add_flag(names, option.help);
  const bool shows_default = !fallback.empty() && option.bare[0] == '\0';
  const std::string help = option.help + (shows_default ? " [" + fallback + "]" : std::string());
  CLI::Option* added = command.add_option(names, [](const CLI::results_t&) { return true; }, help);
  if (option.kind == OptionKind::list) return added->expected(-1)->type_name("N ...");
  if (option.kind == OptionKind::optional_value) return added->expected(0, 1)->type_name("[X]");
  // Given twice, the last one counts, as in YOLOv5.
  return added->expected(1)->type_name("X")->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

/// CLI11 gives `{}` or nothing for an option that stands alone.
std::string value_of(const TrainOption& option, const std::vector<std::string>& words) {
  if (option.kind == OptionKind::flag) return "true";
  if (option.kind == OptionKind::value) return words.back();
  const std::string text = joined_words(words);
  return option.kind == OptionKind::optional_value && (text.empty() || text == "{}") ? option.bare : text;
}

}  // namespace

TrainCommandLine::TrainCommandLine(CLI::App& command) : command_(command) {
  for (const TrainOption& option : train_options()) options_.push_back(add(command, option));
  set_ = command
             .add_option("--set", [](const CLI::results_t&) { return true; },
                         "Any key of scenarios/README.md: --set validation.ema=in_place --set hyp.lr0=0.02")
             ->expected(1)
             ->type_name("KEY=VALUE")
             ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
             ->allow_extra_args(false);
}

TrainArguments TrainCommandLine::arguments() const {
  TrainArguments arguments;
  for (std::size_t i = 0; i < options_.size(); ++i) {
    const TrainOption& option = train_options()[i];
    if (options_[i]->count() > 0) arguments.given[option.name] = value_of(option, options_[i]->results());
  }
  for (const auto& text : set_->results()) arguments.settings.push_back(parse_override(text));
  return arguments;
}

}  // namespace valbench
