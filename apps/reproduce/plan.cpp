#include "apps/reproduce/plan.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "apps/reproduce/text.h"
#include "core/error.h"

namespace actgrad::reproduce {
namespace {

constexpr const char* record_option = "record";

// Options and sources in layers: the last one that has an option decides both.
void lay_over(Setting& below, const Setting& above, const std::string& source = {}) {
  for (const GivenOption& option : above.options) {
    std::erase_if(below.options, [&](const GivenOption& old) { return old.name == option.name; });
    below.options.push_back(option);
    below.sources.erase(option.name);
    const auto found = above.sources.find(option.name);
    if (found != above.sources.end())
      below.sources[option.name] = found->second;
    else if (!source.empty())
      below.sources[option.name] = source;
  }
}

// A combination of the axes' values, or an extra group, before it is resolved.
struct Combination {
  Labels labels;
  Setting setting;
  GivenOptions smoke;
  std::string metric;
};

void append_combinations(const Experiment& experiment, std::size_t axis, const Combination& so_far,
                         std::vector<Combination>& list) {
  if (axis < experiment.axes.size()) {
    for (const AxisValue& value : experiment.axes[axis].values) {
      Combination next = so_far;
      next.labels.emplace_back(experiment.axes[axis].name, value.label);
      lay_over(next.setting, value.setting);
      if (!value.metric.empty()) next.metric = value.metric;
      next.smoke.insert(next.smoke.end(), value.smoke.begin(), value.smoke.end());
      append_combinations(experiment, axis + 1, next, list);
    }
    return;
  }
  const auto left_out = [&](const Condition& condition) { return fits(condition, so_far.labels); };
  if (std::any_of(experiment.except.begin(), experiment.except.end(), left_out)) return;
  Combination combination = so_far;
  for (const Rule& rule : experiment.rules)
    if (fits(rule.when, so_far.labels)) lay_over(combination.setting, rule.setting);
  list.push_back(std::move(combination));
}

std::vector<Combination> combinations(const Experiment& experiment) {
  std::vector<Combination> list;
  append_combinations(experiment, 0, {{}, experiment.common, {}, experiment.metric}, list);
  for (const ExtraGroup& group : experiment.extra) {
    Combination combination{group.labels, experiment.common, group.smoke, experiment.metric};
    lay_over(combination.setting, group.setting);
    list.push_back(std::move(combination));
  }
  return list;
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// The options with nothing but those that name a run chosen: what the program does by itself.
ResolvedOptions usual_options(const Program& program, const Json& identity, const std::string& device) {
  GivenOptions names = {{"device", device}};
  for (const std::string& name : program.naming) names.push_back({name, text_of(identity.at(name))});
  ResolvedOptions usual = program.resolve(names);
  // The options of another optimizer inside are its own, but that it is another one is this run's choice.
  const std::string base = "base-optim";
  if (identity.contains(base) && identity.at(base) != usual.identity.at(base)) {
    names.push_back({base, identity.at(base).get<std::string>()});
    usual = program.resolve(names);
    usual.identity.erase(base);
  }
  return usual;
}

// Fit for a file's name.
std::string plain(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '/' || c == ' '; }, '_');
  return text;
}

// Names of files have at most 255 bytes, their endings included: a long name is cut, and told apart by a number that
// follows from the whole (FNV-1a).
std::string cut(const std::string& name) {
  constexpr std::size_t longest = 200;
  if (name.size() <= longest) return name;
  std::uint32_t hash = 2166136261U;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return name.substr(0, longest) + "-" + std::to_string(hash);
}

// What the program must be told, and the name that tells a person the same.
void name_run(PlannedRun& run, const Program& program, const Json& usual) {
  for (const std::string& name : program.naming) {
    run.arguments.push_back({name, text_of(run.identity.at(name))});
    run.name += (run.name.empty() ? "" : "-") + plain(run.arguments.back().text);
  }
  for (const auto& [name, value] : run.identity.items()) {
    if (std::find(program.naming.begin(), program.naming.end(), name) != program.naming.end()) continue;
    if (name != "seed" && usual.contains(name) && usual.at(name) == value) continue;
    run.arguments.push_back({name, text_of(value)});
    if (name != "seed") run.name += "-" + name + "=" + plain(text_of(value));
  }
  run.name = cut(run.name) + "-seed" + std::to_string(run.seed);
}

// Where each of the values comes from that the experiment gives or the optimizer has.
std::map<std::string, std::string> sources_of(const ResolvedOptions& resolved, const ResolvedOptions& usual,
                                              const Setting& setting) {
  std::map<std::string, std::string> sources;
  const auto add = [&](const std::string& name) {
    const auto given = setting.sources.find(name), known = usual.sources.find(name);
    if (given != setting.sources.end())
      sources[name] = given->second;
    else if (known != usual.sources.end() && name != "data" &&
             resolved.identity.value(name, Json()) == usual.identity.value(name, Json()))
      sources[name] = known->second;
    else
      sources[name] = "this experiment";
  };
  for (const std::string& name : resolved.of_optimizer) add(name);
  for (const GivenOption& option : setting.options) add(option.name);
  return sources;
}

// Setting::options of `combination` at this scale; `note` says what it no longer is.
Setting scaled(const Program& program, const Combination& combination, const Scaling& scaling, std::string& note) {
  Setting setting = combination.setting;
  const std::string before = find_given(setting.options, "model") ? *find_given(setting.options, "model") : "";
  if (scaling.scale == "short") {
    for (const GivenOption& bound : program.short_options) {
      const std::string* text = find_given(setting.options, bound.name);
      if (!text || std::atoll(text->c_str()) > std::atoll(bound.text.c_str()))
        lay_over(setting, {{bound}, {}}, "scale short");
    }
  }
  if (scaling.scale == "smoke") {
    lay_over(setting, {program.smoke_options, {}}, "scale smoke");
    lay_over(setting, {combination.smoke, {}}, "scale smoke");
    const std::string* model = find_given(setting.options, "model");
    if (model && *model != before) note = *model + " in place of " + before;
  }
  lay_over(setting, {scaling.set, {}}, "command line");
  return setting;
}

std::string device_of(const Scaling& scaling) {
  return scaling.device.empty() ? "auto" : scaling.device;
}

ResolvedOptions resolve(const Program& program, const Setting& setting, const Scaling& scaling, std::int64_t seed) {
  GivenOptions options = setting.options;
  options.push_back({"device", device_of(scaling)});
  options.push_back({"seed", std::to_string(seed)});
  return program.resolve(options);
}

// Throws UserError for options of the program that are no part of what a run is: each run gets them in another way, so
// they would be passed over here.
void refuse_unused(const GivenOptions& options, const Json& identity) {
  static const std::map<std::string, std::string> instead = {{"data-dir", "use --data-dir"},
                                                             {"device", "use --device"},
                                                             {"graph", "it changes no result"},
                                                             {"out", "use --out"},
                                                             {"record", "use the member \"record\""},
                                                             {"seed", "use the member \"seeds\", or --seeds"},
                                                             {"threads", "use --threads"}};
  for (const GivenOption& option : options) {
    if (option.name != "seed" && (identity.contains(option.name) || option.name == "save-every")) continue;
    const auto hint = instead.find(option.name);
    throw UserError("'" + option.name + "' cannot be set here" + (hint == instead.end() ? "" : ": " + hint->second));
  }
}

std::vector<std::int64_t> seeds_of(const Experiment& experiment, const Scaling& scaling) {
  std::vector<std::int64_t> seeds = experiment.seeds;
  std::size_t wanted = scaling.scale == "full" ? seeds.size() : 1;
  if (scaling.seeds > 0) wanted = static_cast<std::size_t>(scaling.seeds);
  const std::int64_t next = *std::max_element(seeds.begin(), seeds.end()) + 1;
  for (std::int64_t seed = next; seeds.size() < wanted; ++seed) seeds.push_back(seed);
  seeds.resize(scaling.scale == "full" ? std::max(wanted, experiment.seeds.size()) : wanted);
  return seeds;
}

Group make_group(const Experiment& experiment, const Combination& combination, const Scaling& scaling) {
  const Program& program = find_program(experiment.program);
  Group group;
  group.labels = combination.labels;
  group.metric = combination.metric;
  const Setting setting = scaled(program, combination, scaling, group.note);
  std::string record;
  for (const std::string& what : experiment.record) record += (record.empty() ? "" : ",") + what;
  Setting complete = setting;
  if (!record.empty()) complete.options.push_back({record_option, record});
  for (const std::int64_t seed : seeds_of(experiment, scaling)) {
    const ResolvedOptions resolved = resolve(program, complete, scaling, seed);
    refuse_unused(setting.options, resolved.identity);
    const ResolvedOptions usual = usual_options(program, resolved.identity, device_of(scaling));
    PlannedRun run;
    run.seed = seed;
    run.identity = resolved.identity;
    run.record.insert(experiment.record.begin(), experiment.record.end());
    run.save_every = resolved.save_every;
    run.asked = scaling.scale == "full" && scaling.set.empty()
                    ? run.identity
                    : resolve(program, combination.setting, scaling, seed).identity;
    name_run(run, program, usual.identity);
    if (group.runs.empty()) {
      group.options = run.identity;
      group.options.erase("seed");
      group.sources = sources_of(resolved, usual, setting);
    }
    group.runs.push_back(std::move(run));
  }
  for (const auto& [labels, value] : experiment.paper)
    if (labels == group.labels) group.paper = value;
  return group;
}

// "10 epochs", "at most 100 steps": what the groups have of an option that counts something.
std::string amount(const std::vector<Group>& groups, const std::string& option) {
  std::set<std::int64_t> numbers;
  for (const Group& group : groups) numbers.insert(group.options.at(option).get<std::int64_t>());
  if (numbers.empty()) return "no " + option;
  return (numbers.size() > 1 ? "at most " : "") + counted(*numbers.rbegin(), option.substr(0, option.size() - 1));
}

std::string mark_of(const Program& program, const std::vector<Group>& groups, const Scaling& scaling) {
  std::string mark;
  if (scaling.scale != "full") {
    mark = scaling.scale == "short" ? "short: " : "smoke: synthetic data, ";
    for (const std::string& option : program.counts) mark += amount(groups, option) + ", ";
    mark += counted(std::max<std::int64_t>(scaling.seeds, 1), "seed");
    if (scaling.scale == "smoke") mark += program.smoke_mark;
  }
  for (const GivenOption& option : scaling.set)
    mark += (mark.empty() ? "with " : ", ") + option.name + "=" + option.text;
  return mark;
}

// The name of a folder inside of OUT, beside those of the runs.
void check_name(const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name == "runs" || name == "logs" ||
      name.find('/') != std::string::npos)
    throw UserError("'" + name + "' cannot be the name of the folder of results in --out");
}

template <class T, class Text>
void refuse_twice(const std::vector<T>& list, const Text& text) {
  std::set<std::string> seen;
  for (const T& element : list)
    if (!seen.insert(text(element)).second) throw UserError(text(element) + " is given twice");
}

// A run that is there twice would count twice, and groups are told apart by their labels.
void check_distinct(const Experiment& experiment) {
  refuse_twice(experiment.seeds, [](std::int64_t seed) { return "seed " + std::to_string(seed); });
  refuse_twice(experiment.axes, [](const Axis& axis) { return "the axis '" + axis.name + "'"; });
  for (const Axis& axis : experiment.axes)
    refuse_twice(axis.values, [&](const AxisValue& value) { return axis.name + " '" + value.label + "'"; });
}

}  // namespace

std::string describe(const Labels& labels) {
  std::string text;
  for (const auto& [axis, label] : labels) text += (text.empty() ? "" : ", ") + label;
  return text;
}

Plan make_plan(const Experiment& experiment, const Scaling& scaling) {
  Plan plan{.name = experiment.name,
            .title = experiment.title,
            .source = experiment.source,
            .notes = experiment.notes,
            .program = experiment.program,
            .scale = scaling.scale,
            .mark = {},
            .axes = {},
            .picture = experiment.picture,
            .groups = {}};
  if (scaling.scale != "full") plan.name += "-" + scaling.scale;
  for (const GivenOption& option : scaling.set) plan.name += "-" + option.name + "=" + plain(option.text);
  check_name(plan.name);
  check_distinct(experiment);
  for (const Axis& axis : experiment.axes) plan.axes.push_back(axis.name);
  for (const Combination& combination : combinations(experiment)) {
    try {
      plan.groups.push_back(make_group(experiment, combination, scaling));
    } catch (const UserError& error) {
      const std::string labels = describe(combination.labels);
      throw UserError(experiment.name + (labels.empty() ? "" : " (" + labels + ")") + ": " + error.what());
    }
  }
  plan.mark = mark_of(find_program(experiment.program), plan.groups, scaling);
  return plan;
}

}  // namespace actgrad::reproduce
