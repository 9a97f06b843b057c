// What decides a run of optimise: its options with all defaults resolved.
#pragma once

#include <map>
#include <string>

#include "apps/optimise/descent.h"
#include "apps/training/run_record.h"

namespace actgrad {

struct OptimiseConfig {
  Options run;                                 // of the task and the run
  Options optimizer;                           // of the optimizer, the learning rate included
  std::map<std::string, std::string> sources;  // of the optimizer's values: "command line", "HyperAdam, published code"

  const std::string& task_name() const { return run.text("task"); }
  const std::string& optimizer_name() const { return run.text("optim"); }
  ProblemOptions problem() const;

  OptionParts parts() const { return {&run, &optimizer}; }
  // Those that decide the result of every single start.
  std::map<std::string, std::string> identity() const;
  std::string to_json() const { return config_json(parts(), sources); }
};

// The options that belong to no particular optimizer.
OptionTable optimise_run_options();
std::vector<CommandLineGroup> optimise_option_groups();

// Fills in what was not given: Adam's tuned rate for the task, no weight decay, else the tables' defaults. Throws
// UserError for values out of range, and for options that this optimizer does not have.
OptimiseConfig resolve_optimise_config(const GivenOptions& given);

// The configuration of the run in `directory`, with those of `given` that change nothing that is done already:
// --starts, --threads, --device, --data-dir. Throws UserError, naming the option, for any other that differs.
OptimiseConfig resume_optimise_config(const std::string& directory, const GivenOptions& given);

}  // namespace actgrad
