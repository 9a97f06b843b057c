// metatrain: learns an optimizer by letting it train small networks.
#include <cstdio>

#include "apps/metatrain/meta_run.h"
#include "apps/training/signals.h"

namespace actgrad {
namespace {

CommandLine command_line() {
  CommandLine line;
  line.program = "metatrain";
  line.usage = "metatrain [options]";
  line.description =
      "Learns an optimizer: HyperAdam, RNNprop or DMoptimizer. It trains a small network over and over, and each time "
      "its own weights take a step of Adam towards lower losses.";
  line.groups = meta_option_groups();
  std::vector<CommandLineOption> actions = {
      {.option = {"resume", std::string(), "go on with the run in this directory, bit for bit"}, .placeholder = "DIR"},
      {.option = {"dry-run", false, "print the options with all defaults as JSON, and stop"}, .action = true},
      {.option = {"version", false, "print the version, and stop"}, .action = true},
      {.option = {"help", false, "print this, and stop"}, .action = true}};
  std::vector<CommandLineOption>& run = line.groups.back().options;
  run.insert(run.end(), actions.begin(), actions.end());
  line.epilogue =
      "Ablations: --candidates J, --no-lstm, --no-preprocessing, --no-random-scaling, --no-convex-combination. "
      "Example:\n"
      "  metatrain --task mnist --out runs/meta\n"
      "  train --model lenet5 --optim hyperadam --weights runs/meta/best.safetensors\n";
  return line;
}

int report(const MetaOutcome& outcome) {
  if (!outcome.finished) {
    std::printf("stopped by a signal after %lld trainings; go on with: metatrain --resume %s\n",
                static_cast<long long>(outcome.state.iteration), outcome.directory.c_str());
    return 128 + stop_signal();
  }
  if (const MetaEpoch* best = outcome.state.best())
    std::printf("final loss: best %.4f (epoch %lld), last %.4f; files in %s\n", best->final_loss,
                static_cast<long long>(best->epoch), outcome.state.history.back().final_loss,
                outcome.directory.c_str());
  return 0;
}

int metatrain(const std::vector<std::string>& arguments) {
  GivenOptions given;
  if (!parse_or_answer(command_line(), arguments, given)) return 0;
  const bool dry_run = take_given(given, "dry-run") == "true", resuming = find_given(given, "resume");
  const std::string directory = take_given(given, "resume");
  const MetaConfig config = resuming ? resume_meta_config(directory, given) : resolve_meta_config(given);
  if (dry_run) return std::fputs(config.to_json().c_str(), stdout), 0;
  return report(resuming ? resume_meta_run(directory, config) : start_meta_run(config));
}

}  // namespace
}  // namespace actgrad

int main(int argc, char** argv) {
  return actgrad::run_program("metatrain", argc, argv, actgrad::metatrain);
}
