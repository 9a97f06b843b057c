// An experiment as data: the runs that a table or figure of a paper consists of (docs/reproduction.md describes the
// file).
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/reproduce/program.h"

namespace actgrad::reproduce {

// Options of the program, and where they come from.
struct Setting {
  GivenOptions options;
  std::map<std::string, std::string> sources;  // option → text
};

// One value of an axis: what a row or a column of a table stands for.
struct AxisValue {
  std::string label;  // "ResNet-20, CIFAR-10"
  Setting setting;
  GivenOptions smoke;       // besides or in place of them at scale smoke
  std::string metric = {};  // what is measured, if not what the experiment says
};

struct Axis {
  std::string name;  // "optimizer"
  std::vector<AxisValue> values;
};

using Labels = std::vector<std::pair<std::string, std::string>>;  // axis → label, in the order of the axes

// Some of the axes, and for each the labels that it is about.
using Condition = std::map<std::string, std::vector<std::string>>;

struct Rule {
  Condition when;
  Setting setting;
};

// A group of runs outside of the axes' product.
struct ExtraGroup {
  Labels labels;
  Setting setting;
  GivenOptions smoke;
};

struct PaperValue {
  double mean = 0;  // of the metric; test accuracy in percent
  std::optional<double> standard_error;
};

struct Experiment {
  std::string name, title;
  std::string source;  // where in the paper
  std::string notes;
  std::string program = "train";  // that does the runs
  std::string metric;             // of Program::metrics
  Setting common;
  std::vector<std::int64_t> seeds;
  std::vector<Axis> axes;         // every combination of their values is a group of runs, one run per seed
  std::vector<Rule> rules;        // what only some combinations have; the last that fits wins
  std::vector<Condition> except;  // combinations that are left out
  std::vector<ExtraGroup> extra;
  std::vector<std::pair<Labels, PaperValue>> paper;
  std::vector<std::string> record;  // of train's --record
  Json picture;                     // for scripts/plot
};

bool fits(const Condition& condition, const Labels& labels);

// The experiment in a file's text. `origin` names the file in messages. Throws UserError for what does not belong
// there.
Experiment parse_experiment(const std::string& name, const std::string& text, const std::string& origin);

// The names of those that are built in.
std::vector<std::string> experiment_names();

// One that is built in, or in the file of that path. Throws UserError, naming the nearest name.
Experiment find_experiment(const std::string& name_or_path);

}  // namespace actgrad::reproduce
