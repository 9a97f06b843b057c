#include "apps/reproduce/experiment.h"

#include <algorithm>
#include <filesystem>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/options.h"
#include "embedded/experiments.h"

namespace actgrad::reproduce {
namespace {

constexpr const char* suffix = ".json";

// A part of the file together with where it stands: "table1.json: axes[0].values[2]".
struct Part {
  const Json& json;
  std::string place;

  [[noreturn]] void fail(const std::string& what) const { throw UserError(place + ": " + what); }
  Part at(const std::string& key) const { return {json.at(key), place + (place.back() == ' ' ? "" : ".") + key}; }
  Part at(std::size_t i) const { return {json.at(i), place + "[" + std::to_string(i) + "]"}; }
  bool has(const std::string& key) const { return json.contains(key); }

  void expect_object(const std::vector<std::string>& known) const {
    if (!json.is_object()) fail("not an object {…}");
    for (const auto& [key, value] : json.items())
      if (std::find(known.begin(), known.end(), key) == known.end()) fail(unknown_name("member", key, known));
  }
  std::size_t expect_list() const {
    if (!json.is_array()) fail("not a list […]");
    return json.size();
  }
  std::string text() const {
    if (!json.is_string()) fail("not a text");
    return json.get<std::string>();
  }
  double number() const {
    if (!json.is_number()) fail("not a number");
    return json.get<double>();
  }
};

// Every element of the list `key`, which may be missing.
template <class Parse>
auto parse_list(const Part& part, const std::string& key, const Parse& parse) {
  std::vector<decltype(parse(part))> list;
  if (!part.has(key)) return list;
  const Part elements = part.at(key);
  for (std::size_t i = 0, n = elements.expect_list(); i < n; ++i) list.push_back(parse(elements.at(i)));
  return list;
}

std::string parse_text(const Part& part) {
  return part.text();
}

GivenOptions parse_options(const Part& parent, const std::string& key) {
  GivenOptions options;
  if (!parent.has(key)) return options;
  const Part part = parent.at(key);
  if (!part.json.is_object()) part.fail("not an object {…}");
  for (const auto& [spelt, value] : part.json.items()) {
    if (!value.is_primitive() || value.is_null()) part.at(spelt).fail("not a number, text, true or false");
    std::string name = spelt;  // with dashes
    std::replace(name.begin(), name.end(), '_', '-');
    options.push_back({name, value.is_string() ? value.get<std::string>() : value.dump()});
  }
  return options;
}

Setting parse_setting(const Part& part) {
  Setting setting{parse_options(part, "options"), {}};
  for (const GivenOption& source : parse_options(part, "sources")) {
    if (!find_given(setting.options, source.name)) part.at("sources").fail("no option '" + source.name + "'");
    setting.sources[source.name] = source.text;
  }
  return setting;
}

Axis parse_axis(const Part& part) {
  part.expect_object({"name", "values"});
  if (!part.has("name") || !part.has("values")) part.fail("needs a name and values");
  return {part.at("name").text(), parse_list(part, "values", [](const Part& value) {
            value.expect_object({"label", "options", "sources", "smoke", "metric"});
            if (!value.has("label")) value.fail("needs a label");
            return AxisValue{value.at("label").text(), parse_setting(value), parse_options(value, "smoke"),
                             value.has("metric") ? value.at("metric").text() : ""};
          })};
}

// The program, and the metrics that are asked of it.
void parse_program(Experiment& experiment, const Part& file) {
  if (file.has("program")) experiment.program = file.at("program").text();
  std::vector<std::string> metrics;
  for (const Program::Metric& metric : find_program(experiment.program).metrics) metrics.push_back(metric.name);
  const auto check = [&](const std::string& metric) {
    if (std::find(metrics.begin(), metrics.end(), metric) == metrics.end())
      file.fail(unknown_name("metric of " + experiment.program, metric, metrics));
  };
  experiment.metric = file.has("metric") ? file.at("metric").text() : metrics.front();
  check(experiment.metric);
  for (const Axis& axis : experiment.axes)
    for (const AxisValue& value : axis.values)
      if (!value.metric.empty()) check(value.metric);
}

const Axis& find_axis(const Experiment& experiment, const Part& part, const std::string& name) {
  std::vector<std::string> names;
  for (const Axis& axis : experiment.axes) {
    if (axis.name == name) return axis;
    names.push_back(axis.name);
  }
  part.fail(unknown_name("axis", name, names));
}

void check_label(const Axis& axis, const Part& part, const std::string& label) {
  std::vector<std::string> labels;
  for (const AxisValue& value : axis.values) labels.push_back(value.label);
  if (std::find(labels.begin(), labels.end(), label) == labels.end()) part.fail(unknown_name(axis.name, label, labels));
}

// {"optimizer": "SGD", "model": ["ResNet-34", "DenseNet-121"]}
Condition parse_condition(const Experiment& experiment, const Part& part) {
  Condition condition;
  if (!part.json.is_object()) part.fail("not an object {…}");
  for (const auto& [name, value] : part.json.items()) {
    const Axis& axis = find_axis(experiment, part, name);
    condition[name] =
        value.is_array() ? parse_list(part, name, parse_text) : std::vector<std::string>{part.at(name).text()};
    for (const std::string& label : condition[name]) check_label(axis, part.at(name), label);
  }
  return condition;
}

ExtraGroup parse_extra(const Experiment& experiment, const Part& part) {
  part.expect_object({"labels", "options", "sources", "smoke"});
  ExtraGroup group{{}, parse_setting(part), parse_options(part, "smoke")};
  for (const Axis& axis : experiment.axes) {  // a label of its own, or one that the axis has
    if (!part.has("labels") || !part.at("labels").has(axis.name)) part.fail("labels: needs one for " + axis.name);
    group.labels.emplace_back(axis.name, part.at("labels").at(axis.name).text());
  }
  return group;
}

bool is_label(const Experiment& experiment, std::size_t axis, const std::string& label) {
  const auto& values = experiment.axes[axis].values;
  return std::any_of(values.begin(), values.end(), [&](const AxisValue& value) { return value.label == label; }) ||
         std::any_of(experiment.extra.begin(), experiment.extra.end(),
                     [&](const ExtraGroup& group) { return group.labels[axis].second == label; });
}

// Nested objects, one level per axis; at the end [mean, standard error], or the mean alone.
void parse_paper(Experiment& experiment, const Part& part, const Labels& above) {
  if (above.size() == experiment.axes.size()) {
    if (part.json.is_number()) return experiment.paper.push_back({above, {part.number(), std::nullopt}});
    if (part.expect_list() != 2) part.fail("not [mean, standard error]");
    experiment.paper.push_back({above, {part.at(0).number(), part.at(1).number()}});
    return;
  }
  if (!part.json.is_object()) part.fail("not an object {…}");
  for (const auto& [label, value] : part.json.items()) {
    const std::size_t axis = above.size();
    if (!is_label(experiment, axis, label)) check_label(experiment.axes[axis], part, label);
    Labels labels = above;
    labels.emplace_back(experiment.axes[axis].name, label);
    parse_paper(experiment, part.at(label), labels);
  }
}

// The whole file, but for what "same-runs-as" brings in.
void parse_runs(Experiment& experiment, const Part& file) {
  experiment.common = parse_setting(file);
  experiment.seeds = parse_list(file, "seeds", [](const Part& part) {
    if (!part.json.is_number_unsigned()) part.fail("not a seed");
    return part.json.get<std::int64_t>();
  });
  if (experiment.seeds.empty()) experiment.seeds = {0};
  experiment.axes = parse_list(file, "axes", parse_axis);
  for (const Axis& axis : experiment.axes)
    if (axis.values.empty()) file.at("axes").fail(axis.name + " has no values");
  parse_program(experiment, file);
  experiment.rules = parse_list(file, "rules", [&](const Part& part) {
    part.expect_object({"when", "options", "sources"});
    if (!part.has("when")) part.fail("needs 'when'");
    return Rule{parse_condition(experiment, part.at("when")), parse_setting(part)};
  });
  experiment.except = parse_list(file, "except", [&](const Part& part) { return parse_condition(experiment, part); });
  experiment.extra = parse_list(file, "extra", [&](const Part& part) { return parse_extra(experiment, part); });
  if (experiment.axes.empty() && !experiment.extra.empty())
    file.at("extra").fail("needs axes, whose labels tell its groups apart");
  if (file.has("paper")) parse_paper(experiment, file.at("paper"), {});
  experiment.record = parse_list(file, "record", parse_text);
}

}  // namespace

bool fits(const Condition& condition, const Labels& labels) {
  return std::all_of(labels.begin(), labels.end(), [&](const auto& entry) {
    const auto found = condition.find(entry.first);
    return found == condition.end() ||
           std::find(found->second.begin(), found->second.end(), entry.second) != found->second.end();
  });
}

Experiment parse_experiment(const std::string& name, const std::string& text, const std::string& origin) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw UserError(origin + ": not a JSON object");
  const Part file{json, origin + ": "};
  const std::vector<std::string> about = {"title", "source", "notes", "picture"},
                                 runs = {"program", "metric", "options", "sources", "seeds", "axes",
                                         "rules",   "except", "extra",   "paper",   "record"};
  std::vector<std::string> known = about;
  known.push_back("same-runs-as");
  const bool borrows = json.contains("same-runs-as");
  if (!borrows) known.insert(known.end(), runs.begin(), runs.end());
  file.expect_object(known);

  Experiment experiment;
  if (borrows) {
    const std::string other = file.at("same-runs-as").text();
    if (!embedded::experiments(other + suffix).data())
      file.at("same-runs-as").fail(unknown_name("experiment", other, experiment_names()));
    experiment = find_experiment(other);
  } else {
    parse_runs(experiment, file);
  }
  experiment.name = name;
  experiment.title = file.has("title") ? file.at("title").text() : name;
  experiment.source = file.has("source") ? file.at("source").text() : experiment.source;
  experiment.notes = file.has("notes") ? file.at("notes").text() : "";
  experiment.picture = json.value("picture", Json{{"kind", "accuracy-curves"}});
  return experiment;
}

std::vector<std::string> experiment_names() {
  std::vector<std::string> names;
  for (const embedded::File& file : embedded::experiments())
    names.emplace_back(file.name.substr(0, file.name.size() - std::string(suffix).size()));
  return names;
}

Experiment find_experiment(const std::string& name_or_path) {
  const std::string_view built_in = embedded::experiments(name_or_path + suffix);
  if (built_in.data()) return parse_experiment(name_or_path, std::string(built_in), name_or_path + suffix);
  const std::filesystem::path path = name_or_path;
  if (path.extension() == suffix || name_or_path.find('/') != std::string::npos)
    return parse_experiment(path.stem().string(), read_file(name_or_path), name_or_path);
  throw UserError(unknown_name("experiment", name_or_path, experiment_names()));
}

}  // namespace actgrad::reproduce
