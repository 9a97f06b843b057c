// optimise: how far an optimizer gets on one of the small tasks that learned optimizers are compared on.
#include <cstdio>

#include "apps/optimise/optimise_run.h"
#include "apps/training/signals.h"

namespace actgrad {
namespace {

CommandLine command_line() {
  CommandLine line;
  line.program = "optimise";
  line.usage = "optimise [options]";
  line.description =
      "Trains a small network from many random starts with one optimizer, and writes the mean loss of each step and of "
      "the end.";
  line.groups = optimise_option_groups();
  std::vector<CommandLineOption> actions = {
      {.option = {"resume", std::string(), "go on with the run in this directory"}, .placeholder = "DIR"},
      {.option = {"dry-run", false, "print the options with all defaults as JSON, and stop"}, .action = true},
      {.option =
           Option{"list", std::string(), "print the names that there are, and stop"}.one_of({"tasks", "optimizers"})},
      {.option = {"version", false, "print the version, and stop"}, .action = true},
      {.option = {"help", false, "print this, and stop"}, .action = true}};
  std::vector<CommandLineOption>& run = line.groups.back().options;
  run.insert(run.end(), actions.begin(), actions.end());
  line.epilogue =
      "Example:\n"
      "  optimise --task mlp-sigmoid --optim adam\n"
      "  optimise --task mlp-sigmoid --optim hyperadam --weights runs/meta/best.safetensors\n";
  return line;
}

int list(const std::string& what) {
  if (what == "tasks")
    for (const Task& task : tasks()) std::printf("%-22s%s\n", task.name.c_str(), task.help.c_str());
  else if (what == "optimizers")
    for (const std::string& name : optimizer_names())
      std::printf("%-16s%s\n", name.c_str(), optimizer_help(name).c_str());
  else
    throw UserError("--list: " + unknown_name("value", what, {"tasks", "optimizers"}));
  return 0;
}

int report(const OptimiseOutcome& outcome) {
  const std::int64_t n = outcome.starts.count();
  if (!outcome.finished) {
    std::printf("stopped by a signal after %lld starts; go on with: optimise --resume %s\n", static_cast<long long>(n),
                outcome.directory.c_str());
    return 128 + stop_signal();
  }
  const RunningMean loss = outcome.starts.mean(&StartResult::final_loss);
  std::printf("final loss: %.4f ± %.4f, mean of %lld starts; files in %s\n", loss.mean, loss.standard_error(n),
              static_cast<long long>(n), outcome.directory.c_str());
  return 0;
}

int optimise(const std::vector<std::string>& arguments) {
  GivenOptions given;
  if (!parse_or_answer(command_line(), arguments, given)) return 0;
  if (find_given(given, "list")) return list(take_given(given, "list"));
  const bool dry_run = take_given(given, "dry-run") == "true", resuming = find_given(given, "resume");
  const std::string directory = take_given(given, "resume");
  const OptimiseConfig config = resuming ? resume_optimise_config(directory, given) : resolve_optimise_config(given);
  if (dry_run) return std::fputs(config.to_json().c_str(), stdout), 0;
  return report(resuming ? resume_optimise_run(directory, config) : start_optimise_run(config));
}

}  // namespace
}  // namespace actgrad

int main(int argc, char** argv) {
  return actgrad::run_program("optimise", argc, argv, actgrad::optimise);
}
