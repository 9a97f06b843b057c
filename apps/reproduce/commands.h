// The commands of reproduce. Each takes the arguments behind its name and returns the exit code.
#pragma once

#include <string>
#include <vector>

#include "apps/training/command_line.h"

namespace actgrad::reproduce {

using Arguments = std::vector<std::string>;

struct Command {
  std::string name, help;
  int (*run)(const Arguments&);
};
const std::vector<Command>& commands();

int list_experiments(const Arguments& arguments);
int show_experiment(const Arguments& arguments);
int run_experiments(const Arguments& arguments);
int show_status(const Arguments& arguments);
int write_report(const Arguments& arguments);
int sweep(const Arguments& arguments);
int compare(const Arguments& arguments);

// What the commands that train share: --jobs, --data-dir, --device, --retry.
CommandLineGroup running_group();
CommandLineOption out_option();
CommandLineOption help_option();

// Parses; prints the help and returns false where that was asked for.
bool parse(const CommandLine& line, const Arguments& arguments, GivenOptions& given, std::vector<std::string>& words);
std::string value_of(const GivenOptions& given, const std::string& name, const std::string& fallback = {});
// --out, which must be given.
std::string out_of(const GivenOptions& given);

}  // namespace actgrad::reproduce
