// sweep: a grid over options of train that somebody names on the command line.
#include <algorithm>

#include "apps/reproduce/running.h"
#include "apps/reproduce/text.h"
#include "apps/training/training_options.h"
#include "core/error.h"
#include "core/split.h"

namespace actgrad::reproduce {
namespace {

// Options whose values are lists themselves: alternatives are separated by ';' there.
const std::set<std::string> lists = {"hidden", "milestones"};
// running_group() has them, or they change no result.
const std::set<std::string> not_of_a_run = {"out", "data-dir", "device", "threads", "graph"};

// The options of train, each taking any text: "adaact,sgd".
std::vector<CommandLineGroup> grid_groups() {
  std::vector<CommandLineGroup> groups = training_option_groups();
  for (CommandLineGroup& group : groups) {
    std::erase_if(group.options,
                  [](const CommandLineOption& entry) { return not_of_a_run.count(entry.option.name) > 0; });
    for (CommandLineOption& entry : group.options) {
      const std::string usual = to_text(entry.option.fallback);
      entry.option = Option{entry.option.name, usual, entry.option.help};
      entry.placeholder = "LIST";
      if (entry.default_text.empty()) entry.default_text = usual;
    }
  }
  return groups;
}

Experiment make_experiment(const GivenOptions& options, const std::string& name, std::int64_t seeds) {
  Experiment experiment;
  experiment.name = name;
  experiment.source = "a sweep of one's own";
  experiment.metric = find_program(experiment.program).metrics.front().name;
  experiment.seeds = {0};
  const auto from_command_line = [](const std::string& option, const std::string& value) {
    return Setting{{{option, value}}, {{option, "command line"}}};
  };
  for (const GivenOption& option : options) {
    if (option.name == "record") {
      experiment.record = split(option.text, ',');
      continue;
    }
    const std::vector<std::string> values = split(option.text, lists.count(option.name) ? ';' : ',');
    if (option.name == "seed") {
      experiment.seeds.clear();
      const Option seed = Option{"seed", std::int64_t{0}, ""}.at_least(0);
      for (const std::string& value : values) {
        experiment.seeds.push_back(std::get<std::int64_t>(seed.parse(value)));
        seed.check(experiment.seeds.back());
      }
    } else if (values.size() == 1) {
      experiment.common.options.push_back({option.name, option.text});
      experiment.common.sources[option.name] = "command line";
    } else {
      Axis axis{option.name, {}};
      for (const std::string& value : values) axis.values.push_back({value, from_command_line(option.name, value), {}});
      experiment.axes.push_back(std::move(axis));
    }
  }
  for (std::int64_t seed = 1; seed < seeds && find_given(options, "seed") == nullptr; ++seed)
    experiment.seeds.push_back(seed);
  for (const Axis& axis : experiment.axes) experiment.title += (experiment.title.empty() ? "" : " × ") + axis.name;
  experiment.title = "Sweep over " + (experiment.title.empty() ? "seeds" : experiment.title);
  experiment.picture = {{"kind", "accuracy-curves"}};
  return experiment;
}

}  // namespace

int sweep(const Arguments& arguments) {
  CommandLine line{"reproduce sweep",
                   "reproduce sweep --out DIR --OPTION VALUE,VALUE… …",
                   "Trains with every combination of the values given for train's options, and tabulates the results.",
                   {},
                   {{"Sweep",
                     {{.option = {"name", std::string("sweep"), "of the results' folder in --out"}},
                      {.option = Option{"seeds", std::int64_t{1}, "how many seeds for each combination"}.at_least(1)}}},
                    running_group()}};
  const std::vector<CommandLineGroup> grid = grid_groups();
  line.groups.insert(line.groups.end(), grid.begin(), grid.end());
  line.epilogue =
      "Values are separated by commas (of --hidden and --milestones by semicolons); flags want true, false or both. "
      "Example:\n  reproduce sweep --model lenet5 --optim adaact,sgd --lr 0.1,0.01 --seeds 3 --epochs 5 --out sweeps\n";
  GivenOptions given;
  std::vector<std::string> words;
  if (!parse(line, arguments, given, words)) return 0;
  refuse_words(words);
  const std::string out = out_of(given);
  GivenOptions options;
  for (const CommandLineGroup& group : grid)
    for (const CommandLineOption& entry : group.options)
      if (const std::string* text = find_given(given, entry.option.name)) options.push_back({entry.option.name, *text});
  if (options.empty()) throw UserError("sweep over what? such as --optim adaact,sgd");
  const Experiment experiment =
      make_experiment(options, value_of(given, "name", "sweep"), std::stoll(value_of(given, "seeds", "1")));
  Scaling scaling;
  scaling.device = value_of(given, "device");
  return run_plans({make_plan(experiment, scaling)}, out, {}, 0, given);
}

}  // namespace actgrad::reproduce
