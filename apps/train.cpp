// train: trains a model on a data set, with everything written to a run directory.
#include <cstdio>

#include "apps/training/command_line.h"
#include "apps/training/run_config.h"
#include "apps/training/signals.h"
#include "apps/training/training_options.h"
#include "apps/training/training_run.h"
#include "core/error.h"
#include "data/dataset.h"
#include "layers/model.h"
#include "optim/optimizer.h"

namespace actgrad {
namespace {

CommandLine command_line() {
  CommandLine line;
  line.program = "train";
  line.usage = "train [options]";
  line.description = "Trains a model on a data set and writes weights, metrics and a checkpoint to a run directory.";
  line.groups = training_option_groups();
  std::vector<CommandLineOption> actions = {
      {.option = {"resume", std::string(), "go on with the run in this directory, bit for bit"}, .placeholder = "DIR"},
      {.option = {"config", std::string(), "take the options of a config.json; those on the command line win"},
       .placeholder = "FILE"},
      {.option = {"dry-run", false, "print the options with all defaults as JSON, and stop"}, .action = true},
      {.option = Option{"list", std::string(), "print the names that there are, and stop"}.one_of(
           {"models", "optimizers", "data"})},
      {.option = {"version", false, "print the version, and stop"}, .action = true},
      {.option = {"help", false, "print this, and stop"}, .action = true}};
  std::vector<CommandLineOption>& run = line.groups.back().options;
  run.insert(run.end(), actions.begin(), actions.end());
  line.epilogue =
      "Dashes and underscores in option names are the same. Example:\n"
      "  train --model resnet20 --optim adaact --data cifar10 --epochs 200\n";
  return line;
}

int list(const std::string& what) {
  const auto print = [](const std::vector<std::string>& names, std::string (*help)(const std::string&)) {
    for (const std::string& name : names) std::printf("%-16s%s\n", name.c_str(), help(name).c_str());
    return 0;
  };
  if (what == "models") return print(model_names(), model_help);
  if (what == "optimizers") return print(optimizer_names(), optimizer_help);
  if (what == "data") return print(dataset_names(), dataset_help);
  throw UserError("--list: " + unknown_name("value", what, {"models", "optimizers", "data"}));
}

// The last lines, and the exit code.
int report(const RunOutcome& outcome) {
  if (!outcome.finished) {
    const int signal = stop_signal();
    std::printf("stopped by a signal in epoch %lld, batch %lld; go on with: train --resume %s\n",
                static_cast<long long>(outcome.state.epoch + 1), static_cast<long long>(outcome.state.batch),
                outcome.directory.c_str());
    return 128 + signal;
  }
  if (const EpochMetrics* best = outcome.state.best())
    std::printf("test accuracy: best %.2f%% (epoch %lld), last %.2f%%; files in %s\n", best->test_accuracy,
                static_cast<long long>(best->epoch), outcome.state.history.back().test_accuracy,
                outcome.directory.c_str());
  return 0;
}

int train(const std::vector<std::string>& arguments) {
  GivenOptions given;
  if (!parse_or_answer(command_line(), arguments, given)) return 0;
  if (find_given(given, "list")) return list(take_given(given, "list"));
  const bool dry_run = take_given(given, "dry-run") == "true";
  const bool resuming = find_given(given, "resume"), has_file = find_given(given, "config");
  const std::string directory = take_given(given, "resume"), file = take_given(given, "config");

  if (resuming) {
    if (has_file) throw UserError("--config cannot be used with --resume: the run has its own configuration");
    std::vector<std::string> notes;
    const RunConfig config = resume_config(directory, given, notes);
    for (const std::string& note : notes) std::fprintf(stderr, "train: note: %s\n", note.c_str());
    if (dry_run) return std::fputs(config.to_json().c_str(), stdout), 0;
    return report(resume_run(directory, config));
  }
  const RunConfig config = resolve_config(given, has_file ? read_config_options(file) : GivenOptions{});
  if (dry_run) return std::fputs(config.to_json().c_str(), stdout), 0;
  return report(start_run(config));
}

}  // namespace
}  // namespace actgrad

int main(int argc, char** argv) {
  return actgrad::run_program("train", argc, argv, actgrad::train);
}
