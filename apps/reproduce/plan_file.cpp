// experiment.json and --only.
#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "apps/reproduce/plan.h"
#include "apps/training/build_info.h"
#include "apps/training/run_config.h"
#include "core/atomic_file.h"
#include "core/error.h"
#include "core/options.h"
#include "core/split.h"

namespace actgrad::reproduce {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// "Weight decay" is found as weight-decay too.
std::string as_key(const std::string& name) {
  std::string key = lower(name);
  std::replace_if(
      key.begin(), key.end(), [](char c) { return c == ' ' || c == '_'; }, '-');
  return key;
}

bool same_value(const Json& value, const std::string& text) {
  if (value.is_string()) return lower(value.get<std::string>()) == lower(text);
  if (value.is_boolean()) return text == value.dump();
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  return end != text.c_str() && *end == 0 && value.get<double>() == number;
}

Json labels_json(const Labels& labels) {
  Json json = Json::object();
  for (const auto& [axis, label] : labels) json[axis] = label;
  return json;
}

Group group_from(const Json& json, const std::vector<std::string>& axes) {
  Group group;
  for (const std::string& axis : axes) group.labels.emplace_back(axis, json.at("labels").at(axis).get<std::string>());
  group.note = json.value("note", "");
  group.options = json.at("options");
  group.sources = json.at("sources").get<std::map<std::string, std::string>>();
  group.metric = json.at("metric");
  if (json.contains("paper")) {
    group.paper = PaperValue{json["paper"].at("mean"), std::nullopt};
    if (json["paper"].contains("se")) group.paper->standard_error = json["paper"]["se"].get<double>();
  }
  for (const Json& entry : json.at("runs")) {
    PlannedRun run;
    run.name = entry.at("name");
    run.seed = entry.at("seed");
    run.identity = group.options;
    run.identity["seed"] = run.seed;
    run.record = json.at("record").get<std::set<std::string>>();
    run.save_every = json.value("save_every", std::int64_t{0});
    group.runs.push_back(std::move(run));
  }
  return group;
}

}  // namespace

Json to_json(const Plan& plan, const std::function<void(const PlannedRun&, Json&)>& describe) {
  Json json = {{"name", plan.name},       {"title", plan.title}, {"scale", plan.scale},     {"mark", plan.mark},
               {"source", plan.source},   {"notes", plan.notes}, {"version", version()},    {"commit", commit()},
               {"picture", plan.picture}, {"axes", plan.axes},   {"program", plan.program}, {"groups", Json::array()}};
  for (const Group& group : plan.groups) {
    Json entry = {{"labels", labels_json(group.labels)}, {"options", group.options}, {"sources", group.sources}};
    if (!group.note.empty()) entry["note"] = group.note;
    entry["metric"] = group.metric;
    if (group.paper) entry["paper"] = {{"mean", group.paper->mean}};
    if (group.paper && group.paper->standard_error) entry["paper"]["se"] = *group.paper->standard_error;
    entry["record"] = group.runs.front().record;
    if (group.runs.front().save_every > 0) entry["save_every"] = group.runs.front().save_every;
    entry["runs"] = Json::array();
    for (const PlannedRun& run : group.runs) {
      Json description = {{"name", run.name}, {"seed", run.seed}};
      describe(run, description);
      entry["runs"].push_back(std::move(description));
    }
    json["groups"].push_back(std::move(entry));
  }
  return json;
}

Plan load_plan(const std::string& path) {
  try {
    const Json json = Json::parse(read_file(path));
    Plan plan{.name = json.at("name"),
              .title = json.at("title"),
              .source = json.at("source"),
              .notes = json.at("notes"),
              .program = json.at("program"),
              .scale = json.at("scale"),
              .mark = json.at("mark"),
              .axes = json.at("axes").get<std::vector<std::string>>(),
              .picture = json.at("picture"),
              .groups = {}};
    for (const Json& group : json.at("groups")) plan.groups.push_back(group_from(group, plan.axes));
    return plan;
  } catch (const Json::exception& error) {
    throw UserError(path + ": not written by this version of reproduce (" + error.what() + ")");
  }
}

Selection parse_pairs(const std::string& option, const std::string& text) {
  Selection pairs;
  if (text.empty()) return pairs;
  for (const std::string& part : split(text)) {
    const std::size_t equals = part.find('=');
    if (!pairs.empty() && (equals == std::string::npos || pairs.back().second.ends_with('\\'))) {
      std::string& value = pairs.back().second;  // has a comma in it
      if (value.ends_with('\\')) value.pop_back();
      value += "," + part;
      continue;
    }
    if (equals == std::string::npos || equals == 0)
      throw UserError("--" + option + ": '" + part + "' is not of the form KEY=VALUE");
    pairs.emplace_back(as_key(part.substr(0, equals)), part.substr(equals + 1));
  }
  return pairs;
}

bool selected(const Selection& only, const Group& group, const PlannedRun& run) {
  const auto matches = [&](const std::string& key, const std::string& value) {
    for (const auto& [axis, label] : group.labels)
      if (as_key(axis) == key && lower(label) == lower(value)) return true;
    return run.asked.contains(key) && same_value(run.asked.at(key), value);
  };
  return std::all_of(only.begin(), only.end(), [&](const auto& wanted) {  // some value of each key
    return std::any_of(only.begin(), only.end(), [&](const auto& alternative) {
      return alternative.first == wanted.first && matches(alternative.first, alternative.second);
    });
  });
}

void check_selection(const Selection& only, const std::vector<Plan>& plans) {
  std::vector<std::string> keys;
  for (const Plan& plan : plans) {
    for (const std::string& axis : plan.axes) keys.push_back(as_key(axis));
    for (const Group& group : plan.groups)
      for (const auto& [name, value] : group.runs.front().asked.items()) keys.push_back(name);
  }
  for (const auto& [key, value] : only) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      const std::string nearest = nearest_name(key, keys);
      throw UserError("--only: no axis or option '" + key + "'" +
                      (nearest.empty() ? "" : ": did you mean '" + nearest + "'?"));
    }
  }
  for (const Plan& plan : plans)
    for (const Group& group : plan.groups)
      for (const PlannedRun& run : group.runs)
        if (selected(only, group, run)) return;
  throw UserError("--only: no run fits");
}

}  // namespace actgrad::reproduce
