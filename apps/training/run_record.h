// config.json, a run's record of its options, and the one rule by which the runs of all programs go on from it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "apps/training/command_line.h"
#include "core/options.h"

namespace actgrad {

// The options in a config.json, or in a JSON object of options that somebody wrote by hand. Throws UserError.
GivenOptions read_config_options(const std::string& path);

// A configuration's tables of options: of the run, the model, the optimizer.
using OptionParts = std::vector<const Options*>;
// Every option, in the order of the tables.
GivenOptions values_of(const OptionParts& parts);
// config.json: options, the sources of their values, version, commit, machine.
std::string config_json(const OptionParts& parts, const std::map<std::string, std::string>& sources);

struct RunRecord {
  std::string directory;
  GivenOptions options;
  std::map<std::string, std::string> sources;
  std::string version, commit;  // of the program that wrote it
};
RunRecord read_run_record(const std::string& directory);  // throws UserError

// Whether the parts have such an option at all. Throws UserError when it has another value there.
bool keeps_value(const RunRecord& record, const OptionParts& parts, const GivenOption& option);

// The configuration for going on with the run: as recorded, but for those of `given` that `may_change`. Throws
// UserError, naming the option, for any other that differs from the record. `resolve`: options → configuration.
template <class Resolve>
auto resumed(const RunRecord& record, const GivenOptions& given, const std::set<std::string>& may_change,
             const Resolve& resolve) {
  GivenOptions options = record.options;
  for (const GivenOption& option : given) {  // before all else: the record's device, say, may not exist here
    if (!may_change.contains(option.name)) continue;
    take_given(options, option.name);
    options.push_back(option);
  }
  auto config = resolve(options);
  config.run.set("out", record.directory);
  for (const GivenOption& option : given) {
    if (may_change.contains(option.name) || keeps_value(record, config.parts(), option)) continue;
    options.push_back(option);
    resolve(options);  // says that nothing here has this option
    throw UserError("--" + option.name + ": the run in " + record.directory + " has no such option");
  }
  if constexpr (requires { config.sources; })
    for (const auto& [name, source] : record.sources) config.sources[name] = source;
  return config;
}

}  // namespace actgrad
