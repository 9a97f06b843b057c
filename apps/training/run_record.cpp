#include "apps/training/run_record.h"

#include <nlohmann/json.hpp>

#include "apps/training/build_info.h"
#include "core/atomic_file.h"

namespace actgrad {
namespace {

using Json = nlohmann::ordered_json;

Json read_json(const std::string& path) {
  const Json json = Json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw UserError(path + ": not a JSON object");
  return json;
}

GivenOptions options_in(const std::string& path, Json json) {
  if (json.contains("options")) json = json["options"];
  if (!json.is_object()) throw UserError(path + ": 'options' is not a JSON object");
  GivenOptions options;
  for (const auto& [name, value] : json.items()) {
    if (!value.is_primitive() || value.is_null())
      throw UserError(path + ": " + name + ": not a number, text, true or false");
    if (name != "out") options.push_back({name, value.is_string() ? value.get<std::string>() : value.dump()});
  }
  return options;
}

std::string text_member(const Json& json, const std::string& name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

Json json_of(const OptionValue& value) {
  return std::visit([](const auto& held) { return Json(held); }, value);
}

}  // namespace

GivenOptions read_config_options(const std::string& path) {
  return options_in(path, read_json(path));
}

GivenOptions values_of(const OptionParts& parts) {
  GivenOptions values;
  for (const Options* options : parts)
    for (const Option& option : options->table()) values.push_back({option.name, to_text(options->value(option.name))});
  return values;
}

std::string config_json(const OptionParts& parts, const std::map<std::string, std::string>& sources) {
  Json json;
  json["version"] = version();
  json["commit"] = commit();
  for (const Options* options : parts)
    for (const Option& option : options->table()) json["options"][option.name] = json_of(options->value(option.name));
  json["sources"] = sources;
  json["machine"] = machine_description();
  return json.dump(2) + "\n";
}

RunRecord read_run_record(const std::string& directory) {
  const std::string path = directory + "/config.json";
  const Json json = read_json(path);
  RunRecord record{directory, options_in(path, json), {}, text_member(json, "version"), text_member(json, "commit")};
  if (json.contains("sources") && json["sources"].is_object())
    for (const auto& [name, source] : json["sources"].items())
      if (source.is_string()) record.sources[name] = source.get<std::string>();
  return record;
}

bool keeps_value(const RunRecord& record, const OptionParts& parts, const GivenOption& option) {
  for (const Options* options : parts) {
    const Option* const known = find_option(options->table(), option.name);
    if (!known) continue;
    const OptionValue& value = options->value(option.name);
    if (known->parse(option.text) == value) return true;
    const std::string text = to_text(value);
    throw UserError("--" + option.name + " cannot change on resuming: the run in " + record.directory + " has " +
                    (text.empty() ? "none" : text));
  }
  return false;
}

}  // namespace actgrad
