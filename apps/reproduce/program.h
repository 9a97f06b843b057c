// The programs whose runs an experiment may consist of, and all in which they differ.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/training/command_line.h"

namespace actgrad::reproduce {

using Json = nlohmann::ordered_json;

// A run's options with all defaults filled in.
struct ResolvedOptions {
  Json identity;  // those that decide the result, by name, as in config.json
  std::vector<std::string> of_optimizer;
  std::map<std::string, std::string> sources;
  std::int64_t save_every = 0;
};

struct Program {
  std::string name;  // "train"
  // A run is so many epochs (starts): the option that says how many, and the member of summary.json that counts them.
  std::string part, parts;
  std::vector<std::string> naming;  // options that name a run
  // Scale short: upper bounds of options; scale smoke: values.
  GivenOptions short_options, smoke_options;
  std::vector<std::string> counts;  // options that say how much a run is, for the marks of these scales
  std::string smoke_mark;           // what else is smaller then

  // What is measured. The first is what an experiment means that says nothing, and has another number beside it.
  struct Metric {
    std::string name;   // of a member of summary.json
    std::string title;  // of a table's column
  };
  std::vector<Metric> metrics;
  int digits;
  std::string table_title, summary_title;  // of tables
  std::string other_title;                 // of the column beside the first metric's
  std::string curve_step;                  // what a curve goes along
  std::string result_title;                // "test accuracy "

  // Throws UserError for options that the program does not accept.
  ResolvedOptions (*resolve)(const GivenOptions& options);
  // An option's default, for a run of this kind; null if there is no such option.
  Json (*fallback)(const std::string& name, const Json& identity);
  std::string (*data)(const Json& identity);   // the data set that must be there; "" for none
  std::string (*result)(const Json& summary);  // "best 92.41%, last 92.30%"
};

// train, optimise. Throws UserError for another name.
const Program& find_program(const std::string& name);
// That of a run with these options.
const Program& program_of(const Json& options);

}  // namespace actgrad::reproduce
