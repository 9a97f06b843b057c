// What an experiment comes to: runs of its program with every option resolved. The plan is kept as
// OUT/NAME/experiment.json, from which status, report and scripts/plot work.
#pragma once

#include <functional>
#include <optional>
#include <set>

#include "apps/reproduce/experiment.h"

namespace actgrad::reproduce {

struct Scaling {
  std::string scale = "full";  // full: as in the file; short: 1 seed, Program::short_options; smoke: seconds
  std::int64_t seeds = 0;      // how many; 0: as in the file
  GivenOptions set;            // options of the program for every run, which win over the file's
  std::string device = {};     // "": train's default; decides only whether the options are possible
};

struct PlannedRun {
  std::string name;  // "lenet5-cifar10-adaact-exponent=0.25-seed0"
  std::int64_t seed = 0;
  Json identity;  // the options that decide its result, by name, as in config.json
  // What it must have written besides.
  std::set<std::string> record;
  std::int64_t save_every = 0;
  GivenOptions arguments;  // for the program: the options that differ from its defaults
  Json asked;              // identity at full scale, for --only
};

// The runs that differ in the seed only.
struct Group {
  Labels labels;
  std::string metric;
  std::string note;  // "lenet5 in place of resnet34"
  Json options;      // identity without the seed
  std::map<std::string, std::string> sources;
  std::optional<PaperValue> paper;
  std::vector<PlannedRun> runs;
};

struct Plan {
  std::string name;  // of its folder: "table1", "table1-short"
  std::string title, source, notes;
  std::string program;
  std::string scale;
  std::string mark;  // "short: 10 epochs, 1 seed", for every output; "" for full scale
  std::vector<std::string> axes;
  Json picture;
  std::vector<Group> groups;
};

// Throws UserError for options that train does not accept, naming the experiment and the group.
Plan make_plan(const Experiment& experiment, const Scaling& scaling);

// Of the file's contents (load) all but `arguments` and `asked` come back. Runs' places and states are added by whoever
// knows them: `describe` fills in their members.
Json to_json(const Plan& plan, const std::function<void(const PlannedRun&, Json&)>& describe);
Plan load_plan(const std::string& path);

// "AdaAct, CIFAR-10 ResNet-20"
std::string describe(const Labels& labels);

// --only optim=adaact,model=resnet20: keys are names of axes or options; several values of a key are alternatives.
using Selection = std::vector<std::pair<std::string, std::string>>;
// A comma belongs to the value where no KEY= follows it, and after a backslash: labels and lists have commas.
Selection parse_pairs(const std::string& option, const std::string& text);
// Throws UserError for a key that no run has.
void check_selection(const Selection& only, const std::vector<Plan>& plans);
bool selected(const Selection& only, const Group& group, const PlannedRun& run);

}  // namespace actgrad::reproduce
