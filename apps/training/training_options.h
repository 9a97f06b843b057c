// The options of train, described in tables.
#pragma once

#include <vector>

#include "apps/training/command_line.h"
#include "core/options.h"

namespace actgrad {

// The options that belong to no particular model or optimizer.
OptionTable run_options();

// The tables of all optimizers (or models) as one, each option once: whose it is, and the defaults by owner where they
// differ.
std::vector<CommandLineOption> merged_options(const std::vector<std::string>& owners,
                                              OptionTable (*table_of)(const std::string&));

// All options of train in groups, those of every model and optimizer included.
std::vector<CommandLineGroup> training_option_groups();

// One of run_options() as train has it, for another program in which it means the same.
CommandLineOption training_option(const std::string& name);

}  // namespace actgrad
