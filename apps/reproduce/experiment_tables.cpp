// The tables of an experiment.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "apps/reproduce/table.h"
#include "apps/reproduce/text.h"

namespace actgrad::reproduce {
namespace {

namespace fs = std::filesystem;

std::string marked(const Plan& plan, const std::string& title) {
  return title + (plan.mark.empty() ? "" : " [" + plan.mark + "]");
}

// Of data made up for a quick test, an accuracy has nothing to do with the paper's.
bool comparable(const Plan& plan) {
  return plan.scale != "smoke";
}

std::string paper_text(const Group& group) {
  return group.paper ? to_text(*group.paper) : "";
}

std::string difference(const Plan& plan, const Group& group, const GroupResult& result) {
  if (!comparable(plan) || !group.paper || result.best.n == 0) return "";
  const double value = result.best.mean - group.paper->mean;
  return (value < 0 ? "−" : "+") + fixed(std::abs(value), find_program(plan.program).digits);
}

// "3", "3 of 5", "3 of 5, 1 failed"
std::string count_text(const GroupResult& result) {
  std::string text = std::to_string(result.runs.size());
  if (std::cmp_not_equal(result.runs.size(), result.planned)) text += " of " + std::to_string(result.planned);
  const auto failed = result.counts.find(RunStatus::failed);
  if (failed != result.counts.end()) text += ", " + std::to_string(failed->second) + " failed";
  return text;
}

std::string bytes_text(const Statistic& bytes) {
  if (bytes.n == 0) return "";
  return bytes.mean < 1e6 ? fixed(bytes.mean / 1e3, 1) + " kB" : fixed(bytes.mean / 1e6, 1) + " MB";
}

std::string number_or_nothing(bool there, double value) {
  return there ? short_number(value) : "";
}

// Of the column with what is measured: "result" where that differs from group to group.
std::string value_title(const Plan& plan) {
  const std::string& metric = plan.groups.front().metric;
  for (const Group& group : plan.groups)
    if (group.metric != metric) return "result";
  for (const Program::Metric& known : find_program(plan.program).metrics)
    if (known.name == metric) return known.title;
  return metric;
}

std::vector<std::string> label_cells(const Group& group) {
  std::vector<std::string> cells;
  for (const auto& [axis, label] : group.labels) cells.push_back(label);
  return cells;
}

std::vector<std::string> distinct_labels(const Plan& plan, std::size_t axis) {
  std::vector<std::string> labels;
  for (const Group& group : plan.groups)
    if (std::find(labels.begin(), labels.end(), group.labels[axis].second) == labels.end())
      labels.push_back(group.labels[axis].second);
  return labels;
}

std::string summary_cell(const Evaluated& experiment, const std::string& down, const std::string& across) {
  for (std::size_t i = 0; i < experiment.results.size(); ++i) {
    const Group& group = experiment.plan->groups[i];
    if (group.labels[0].second != down || group.labels[1].second != across) continue;
    std::string text = to_text(experiment.results[i].best, find_program(experiment.plan->program).digits);
    if (experiment.results[i].best.n > 0) text += " (n=" + std::to_string(experiment.results[i].best.n) + ")";
    return text + (group.paper ? "; paper " + paper_text(group) : "");
  }
  return "";
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// Leaves out the columns in which nothing stands.
void drop_empty_columns(Table& table) {
  for (std::size_t column = table.header.size(); column-- > 0;) {
    const auto empty = [&](const std::vector<std::string>& row) { return row[column].empty(); };
    if (!std::all_of(table.rows.begin(), table.rows.end(), empty)) continue;
    const auto at = static_cast<std::ptrdiff_t>(column);
    table.header.erase(table.header.begin() + at);
    for (auto& row : table.rows) row.erase(row.begin() + at);
  }
}

// Whose groups those of `numbers` are: "all", the labels of one axis where they say it, else every group by name.
std::string name_groups(const std::vector<Group>& groups, const std::vector<std::size_t>& numbers) {
  if (numbers.size() == groups.size()) return "all";
  const auto list = [](const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : "; ") + name;
    return text;
  };
  for (std::size_t axis = 0; axis < groups.front().labels.size(); ++axis) {
    std::vector<std::string> labels;
    const auto is_listed = [&](const Group& group) {
      return std::find(labels.begin(), labels.end(), group.labels[axis].second) != labels.end();
    };
    for (const std::size_t i : numbers)
      if (!is_listed(groups[i])) labels.push_back(groups[i].labels[axis].second);
    if (std::cmp_equal(std::count_if(groups.begin(), groups.end(), is_listed), numbers.size())) return list(labels);
  }
  std::vector<std::string> all;
  for (const std::size_t i : numbers) all.push_back(describe(groups[i].labels));
  return list(all);
}

// The day on which a file was last written.
std::string day_of(const std::string& path) {
  std::error_code error;
  const auto time = fs::last_write_time(path, error);
  if (error) return "";
  const std::time_t seconds = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(std::chrono::file_clock::to_sys(time)));
  std::tm local{};
  ::localtime_r(&seconds, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d", &local);
  return text;
}

}  // namespace

Evaluated evaluate(const Plan& plan, const RunStore& store) {
  Evaluated experiment{&plan, {}};
  for (const Group& group : plan.groups) experiment.results.push_back(collect(group, store));
  return experiment;
}

Table summary_table(const Evaluated& experiment) {
  const Plan& plan = *experiment.plan;
  Table table{marked(plan, find_program(plan.program).summary_title), {}, {}};
  if (plan.axes.size() != 2) return table;
  table.header = {plan.axes[0]};
  const std::vector<std::string> across = distinct_labels(plan, 1);
  table.header.insert(table.header.end(), across.begin(), across.end());
  for (const std::string& down : distinct_labels(plan, 0)) {
    table.rows.push_back({down});
    for (const std::string& label : across) table.rows.back().push_back(summary_cell(experiment, down, label));
  }
  return table;
}

Table result_table(const Evaluated& experiment) {
  const Plan& plan = *experiment.plan;
  const Program& program = find_program(plan.program);
  Table table{marked(plan, program.table_title), plan.axes, {}};
  for (const std::string& name :
       {value_title(plan), program.other_title, std::string("runs"), std::string("paper"),
        value_title(plan) + " − paper", "seconds per " + program.part, std::string("optimizer state")})
    table.header.push_back(name);
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const Group& group = plan.groups[i];
    const GroupResult& result = experiment.results[i];
    std::vector<std::string> row = label_cells(group);
    if (!group.note.empty() && !row.empty()) row.back() += " (" + group.note + ")";
    row.insert(row.end(), {to_text(result.best, program.digits), to_text(result.last, program.digits),
                           count_text(result), paper_text(group), difference(plan, group, result),
                           to_text(result.seconds_per_part), bytes_text(result.state_bytes)});
    table.rows.push_back(std::move(row));
  }
  drop_empty_columns(table);
  return table;
}

Table number_table(const Evaluated& experiment) {
  const Plan& plan = *experiment.plan;
  Table table{"", plan.axes, {}};
  const std::string seconds_name = "seconds_per_" + find_program(plan.program).part;
  for (const char* name :
       {"scale", "n", "planned", "failed", "best_mean", "best_se", "last_mean", "last_se", "paper_mean", "paper_se",
        "difference", seconds_name.c_str(), "optimizer_state_bytes", "sources"})
    table.header.emplace_back(name);
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const Group& group = plan.groups[i];
    const GroupResult& result = experiment.results[i];
    const bool any = result.best.n > 0, several = result.best.n > 1;
    const auto failed = result.counts.find(RunStatus::failed);
    std::string sources;
    for (const auto& [name, source] : group.sources)
      if (group.options.contains(name))
        sources += (sources.empty() ? "" : "; ") + name + "=" + text_of(group.options.at(name)) + ": " + source;
    std::vector<std::string> row = label_cells(group);
    row.insert(
        row.end(),
        {plan.mark.empty() ? plan.scale : plan.mark, std::to_string(result.best.n), std::to_string(result.planned),
         std::to_string(failed == result.counts.end() ? 0 : failed->second), number_or_nothing(any, result.best.mean),
         number_or_nothing(several, result.best.standard_error), number_or_nothing(result.last.n > 0, result.last.mean),
         number_or_nothing(result.last.n > 1, result.last.standard_error),
         number_or_nothing(group.paper.has_value(), group.paper ? group.paper->mean : 0),
         number_or_nothing(group.paper && group.paper->standard_error,
                           group.paper ? group.paper->standard_error.value_or(0) : 0),
         number_or_nothing(any && group.paper && comparable(plan),
                           group.paper ? result.best.mean - group.paper->mean : 0),
         number_or_nothing(any, result.seconds_per_part.mean), number_or_nothing(any, result.state_bytes.mean),
         sources});
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table curve_table(const Evaluated& experiment) {
  const Plan& plan = *experiment.plan;
  Table table{"", plan.axes, {}};
  for (const char* name : {find_program(plan.program).curve_step.c_str(), "mean", "se", "n"})
    table.header.emplace_back(name);
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    for (const auto& [number, value] : experiment.results[i].curve) {
      std::vector<std::string> row = label_cells(plan.groups[i]);
      row.insert(row.end(), {std::to_string(number), short_number(value.mean),
                             number_or_nothing(value.n > 1, value.standard_error), std::to_string(value.n)});
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

Table option_table(const Evaluated& experiment) {
  Table table{"Options and where they come from", {"option", "value", "source", "of"}, {}};
  const std::vector<Group>& groups = experiment.plan->groups;
  std::map<std::vector<std::string>, std::vector<std::size_t>> uses;  // (option, value, source) → groups
  for (std::size_t i = 0; i < groups.size(); ++i)
    for (const auto& [name, source] : groups[i].sources)
      if (groups[i].options.contains(name)) uses[{name, text_of(groups[i].options.at(name)), source}].push_back(i);
  for (const auto& [use, numbers] : uses) table.rows.push_back({use[0], use[1], use[2], name_groups(groups, numbers)});
  return table;
}

Table missing_table(const Evaluated& experiment, const RunStore& store) {
  Table table{"Not finished", {"runs", "seeds", "state"}, {}};
  for (const Group& group : experiment.plan->groups) {
    std::map<std::string, std::string> seeds;  // by state
    for (const PlannedRun& run : group.runs) {
      std::string reason;
      const RunStatus status = store.status(run, &reason);
      if (status == RunStatus::finished) continue;
      std::string state = name_of(status);
      if (status == RunStatus::failed) state += ": " + reason;
      std::string& list = seeds[state];
      list += (list.empty() ? "" : ", ") + std::to_string(run.seed);
    }
    for (const auto& [state, list] : seeds) table.rows.push_back({describe(group.labels), list, state});
  }
  return table;
}

Table provenance_table(const Evaluated& experiment, const RunStore& store) {
  Table table{"Provenance", {"program", "device", "machine", "finished", "runs"}, {}};
  std::map<std::vector<std::string>, std::int64_t> counts;
  std::set<std::string> seen;  // several groups can show the same run
  for (const Group& group : experiment.plan->groups) {
    for (const PlannedRun& run : group.runs) {
      const RunFolder* folder = store.find(run);
      if (!folder || !folder->finished || !seen.insert(folder->path).second) continue;
      const Json& config = folder->config;
      const Json machine = config.value("machine", Json::object());
      std::string device = config.at("options").value("device", "");
      if (device == "cpu") device += ", " + counted(config.at("options").value("threads", std::int64_t{0}), "thread");
      ++counts[{config.value("version", "?") + " (" + config.value("commit", "?") + ")",
                device + ", " + config.at("options").value("precision", "fp32"),
                machine.value("cpu", "?") + ", " + machine.value("cores", "?") + " cores",
                day_of(folder->path + "/summary.json")}];
    }
  }
  for (const auto& [key, count] : counts) {
    table.rows.push_back(key);
    table.rows.back().push_back(std::to_string(count));
  }
  return table;
}

}  // namespace actgrad::reproduce
