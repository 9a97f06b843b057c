// What decides a meta-training run: its options with all defaults resolved.
#pragma once

#include <map>
#include <string>

#include "apps/metatrain/meta_trainer.h"
#include "apps/training/run_record.h"

namespace actgrad {

struct MetaConfig {
  Options run;   // of the task and the training
  Options rule;  // of the learned optimizer

  const std::string& rule_name() const { return run.text("optimizer"); }
  OptimizeeOptions task() const;   // with its tricks
  OptimizeeOptions plain() const;  // without
  MetaTrainingOptions training() const;

  OptionParts parts() const { return {&run, &rule}; }
  // Those that decide how a run goes on; not the number of epochs, which may change on resuming, nor the file that it
  // began with, which may be gone by then.
  std::map<std::string, std::string> identity() const;
  std::string to_json() const;  // config.json
};

std::vector<CommandLineGroup> meta_option_groups();

// Fills in what was not given: what the learned optimizer's paper uses for it, else the tables' defaults. Throws
// UserError for values out of range, and for options that this optimizer does not have.
MetaConfig resolve_meta_config(const GivenOptions& given);

// The configuration of the run in `directory`, with those of `given` that do not change what is done already: --epochs,
// --threads, --data-dir, --save-every. Throws UserError, naming the option, for any other that differs from the record.
MetaConfig resume_meta_config(const std::string& directory, const GivenOptions& given);

}  // namespace actgrad
