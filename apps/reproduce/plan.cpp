#include "apps/reproduce/plan.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "apps/training/build_info.h"
#include "apps/training/run_config.h"
#include "core/error.h"

namespace actgrad::reproduce {
namespace {

constexpr std::int64_t short_epochs = 10;
const GivenOptions smoke_options = {
    {"data", "synthetic"}, {"epochs", "2"}, {"train-samples", "256"}, {"test-samples", "100"}, {"batch-size", "64"}};
// What a run writes besides its result: another one may have written more and do as well.
constexpr const char* record_option = "record";
constexpr const char* save_option = "save-every";

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
};

void append_combinations(const Experiment& experiment, std::size_t axis, const Combination& so_far,
                         std::vector<Combination>& list) {
  if (axis < experiment.axes.size()) {
    for (const AxisValue& value : experiment.axes[axis].values) {
      Combination next = so_far;
      next.labels.emplace_back(experiment.axes[axis].name, value.label);
      lay_over(next.setting, value.setting);
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
  append_combinations(experiment, 0, {{}, experiment.common, {}}, list);
  for (const ExtraGroup& group : experiment.extra) {
    Combination combination{group.labels, experiment.common, group.smoke};
    lay_over(combination.setting, group.setting);
    list.push_back(std::move(combination));
  }
  return list;
}

// The options that decide a run's result, epochs included, without what it merely records.
Json identity_of(const RunConfig& config) {
  const Json options = Json::parse(config.to_json()).at("options");
  Json identity = Json::object();
  const std::map<std::string, std::string> names = config.identity();
  for (const auto& [name, value] : options.items())
    if ((names.count(name) || name == "epochs") && name != record_option && name != save_option) identity[name] = value;
  return identity;
}

// The configuration with nothing but a model, a data set and an optimizer chosen: what train does by itself.
RunConfig plain_config(const RunConfig& config) {
  GivenOptions names;
  for (const char* name : {"model", "data", "optim", "device"}) names.push_back({name, config.run.text(name)});
  if (config.optimizer.contains("base-optim")) names.push_back({"base-optim", config.optimizer.text("base-optim")});
  return resolve_config(names);
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
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

// What train must be told, and the name that tells a person the same.
void name_run(PlannedRun& run, const RunConfig& config) {
  const Json usual = identity_of(plain_config(config));
  const std::vector<std::string> first = {"model", "data", "optim"};
  for (const std::string& name : first) {
    run.arguments.push_back({name, text_of(run.identity.at(name))});
    run.name += (run.name.empty() ? "" : "-") + plain(run.arguments.back().text);
  }
  for (const auto& [name, value] : run.identity.items()) {
    if (std::find(first.begin(), first.end(), name) != first.end()) continue;
    if (name != "seed" && usual.contains(name) && usual.at(name) == value) continue;
    run.arguments.push_back({name, text_of(value)});
    if (name != "seed") run.name += "-" + name + "=" + plain(text_of(value));
  }
  run.name = cut(run.name) + "-seed" + std::to_string(run.seed);
}

// Where each of the values comes from that the experiment gives or the optimizer has.
std::map<std::string, std::string> sources_of(const RunConfig& config, const Setting& setting) {
  const RunConfig usual = plain_config(config);
  const Json values = identity_of(config), usual_values = identity_of(usual);
  std::map<std::string, std::string> sources;
  const auto add = [&](const std::string& name) {
    const auto given = setting.sources.find(name), known = usual.sources.find(name);
    if (given != setting.sources.end())
      sources[name] = given->second;
    else if (known != usual.sources.end() && name != "data" &&
             values.value(name, Json()) == usual_values.value(name, Json()))
      sources[name] = known->second;
    else
      sources[name] = "this experiment";
  };
  for (const Option& option : config.optimizer.table()) add(option.name);
  for (const GivenOption& option : setting.options) add(option.name);
  return sources;
}

// Setting::options of `combination` at this scale; `note` says what it no longer is.
Setting scaled(const Combination& combination, const Scaling& scaling, std::string& note) {
  Setting setting = combination.setting;
  const std::string before = find_given(setting.options, "model") ? *find_given(setting.options, "model") : "";
  if (scaling.scale == "short") {
    const std::string* epochs = find_given(setting.options, "epochs");
    if (!epochs || std::atoll(epochs->c_str()) > short_epochs)
      lay_over(setting, {{{"epochs", std::to_string(short_epochs)}}, {}}, "scale short");
  }
  if (scaling.scale == "smoke") {
    lay_over(setting, {smoke_options, {}}, "scale smoke");
    lay_over(setting, {combination.smoke, {}}, "scale smoke");
    const std::string* model = find_given(setting.options, "model");
    if (model && *model != before) note = *model + " in place of " + before;
  }
  lay_over(setting, {scaling.set, {}}, "command line");
  return setting;
}

RunConfig resolve(const Setting& setting, const Scaling& scaling, std::int64_t seed) {
  GivenOptions options = setting.options;
  if (!find_given(options, "device"))
    options.push_back({"device", scaling.device.empty() ? std::string("auto") : scaling.device});
  options.push_back({"seed", std::to_string(seed)});
  return resolve_config(options);
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
  Group group{.labels = combination.labels, .note = {}, .options = {}, .sources = {}, .paper = {}, .runs = {}};
  const Setting setting = scaled(combination, scaling, group.note);
  std::string record;
  for (const std::string& what : experiment.record) record += (record.empty() ? "" : ",") + what;
  Setting complete = setting;
  if (!record.empty()) complete.options.push_back({record_option, record});
  for (const std::int64_t seed : seeds_of(experiment, scaling)) {
    const RunConfig config = resolve(complete, scaling, seed);
    PlannedRun run;
    run.seed = seed;
    run.identity = identity_of(config);
    run.record.insert(experiment.record.begin(), experiment.record.end());
    if (config.run.contains(save_option)) run.save_every = config.run.integer(save_option);
    run.asked = scaling.scale == "full" && scaling.set.empty()
                    ? run.identity
                    : identity_of(resolve(combination.setting, scaling, seed));
    name_run(run, config);
    if (group.runs.empty()) {
      group.options = run.identity;
      group.options.erase("seed");
      group.sources = sources_of(config, setting);
    }
    group.runs.push_back(std::move(run));
  }
  for (const auto& [labels, value] : experiment.paper)
    if (labels == group.labels) group.paper = value;
  return group;
}

std::string mark_of(const Scaling& scaling) {
  std::string mark;
  if (scaling.scale == "short") mark = "short: " + std::to_string(short_epochs) + " epochs, 1 seed";
  if (scaling.scale == "smoke") mark = "smoke: synthetic data, 2 epochs, 1 seed, small models";
  if (scaling.scale != "full" && scaling.seeds > 1)
    mark.replace(mark.find("1 seed"), 6, std::to_string(scaling.seeds) + " seeds");
  for (const GivenOption& option : scaling.set)
    mark += (mark.empty() ? "with " : ", ") + option.name + "=" + option.text;
  return mark;
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
            .scale = scaling.scale,
            .mark = mark_of(scaling),
            .axes = {},
            .picture = experiment.picture,
            .groups = {}};
  if (scaling.scale != "full") plan.name += "-" + scaling.scale;
  for (const GivenOption& option : scaling.set) plan.name += "-" + option.name + "=" + plain(option.text);
  for (const Axis& axis : experiment.axes) plan.axes.push_back(axis.name);
  for (const Combination& combination : combinations(experiment)) {
    try {
      plan.groups.push_back(make_group(experiment, combination, scaling));
    } catch (const UserError& error) {
      const std::string labels = describe(combination.labels);
      throw UserError(experiment.name + (labels.empty() ? "" : " (" + labels + ")") + ": " + error.what());
    }
  }
  return plan;
}

}  // namespace actgrad::reproduce
