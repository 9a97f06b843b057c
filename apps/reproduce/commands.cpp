#include "apps/reproduce/commands.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "apps/reproduce/outputs.h"
#include "apps/reproduce/results.h"
#include "apps/reproduce/running.h"
#include "apps/reproduce/text.h"
#include "apps/training/progress.h"
#include "core/error.h"

namespace actgrad::reproduce {
namespace {

CommandLineGroup scaling_group() {
  return {
      "Which runs",
      {{.option = Option{"scale", std::string("full"),
                         "full: as in the paper; short: at most 10 epochs, or 100 steps of 10 starts, 1 seed; smoke: "
                         "seconds, synthetic data, small models"}
                      .one_of({"full", "short", "smoke"})},
       {.option = {"only", std::string(),
                   "only the runs with these values of axes or options, such as "
                   "optim=adaact,model=resnet20; several of one key: any of them. A comma without a KEY= behind it, or "
                   "after a backslash, belongs to the value"},
        .placeholder = "KEY=VALUE,…"},
       {.option = Option{"seeds", std::int64_t{0}, "how many seeds"}.at_least(1),
        .default_text = "the experiment's; 1 at scale short and smoke"},
       {.option = {"set", std::string(),
                   "options of the program for every run, such as precision=tf32; marked in all "
                   "outputs"},
        .placeholder = "KEY=VALUE,…"}}};
}

Scaling scaling_of(const GivenOptions& given) {
  Scaling scaling{.scale = value_of(given, "scale", "full"),
                  .seeds = std::stoll(value_of(given, "seeds", "0")),
                  .set = {},
                  .device = value_of(given, "device")};
  for (const auto& [name, value] : parse_pairs("set", value_of(given, "set"))) scaling.set.push_back({name, value});
  return scaling;
}

void check_options(const CommandLine& line, const GivenOptions& given) {
  for (const CommandLineGroup& group : line.groups)
    for (const CommandLineOption& entry : group.options)
      if (const std::string* text = find_given(given, entry.option.name)) entry.option.check(entry.option.parse(*text));
}

std::size_t runs_in(const Plan& plan) {
  std::size_t count = 0;
  for (const Group& group : plan.groups) count += group.runs.size();
  return count;
}

std::string heading(const Plan& plan) {
  return plan.name + ": " + plan.title + (plan.mark.empty() ? "" : " [" + plan.mark + "]");
}

std::string shell_words(const PlannedRun& run) {
  std::string text = program_of(run.identity).name;
  for (const GivenOption& option : run.arguments) text += " --" + option.name + "=" + option.text;
  for (const std::string& what : run.record) text += (what == *run.record.begin() ? " --record=" : ",") + what;
  if (run.save_every > 0) text += " --save-every=" + std::to_string(run.save_every);
  return text;
}

void print_group(const Group& group, const std::vector<PlannedRun>& runs) {
  std::printf("\n%s%s\n", describe(group.labels).c_str(), group.note.empty() ? "" : (" (" + group.note + ")").c_str());
  if (group.paper) std::printf("  the paper: %s\n", to_text(*group.paper).c_str());
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, source] : group.sources)
    if (group.options.contains(name)) {
      const Json& value = group.options.at(name);
      rows.push_back({"  " + name, value.is_string() ? value.get<std::string>() : value.dump(), source});
    }
  std::printf("%s", columns(rows).c_str());
  for (const PlannedRun& run : runs) std::printf("  %s\n", shell_words(run).c_str());
}

// "running, epoch 37 of 200, eta 1:23:45"
std::string describe_state(const RunStore& store, const PlannedRun& run) {
  std::string reason;
  const RunStatus status = store.status(run, &reason);
  std::string text = name_of(status);
  const RunFolder* folder = store.find(run);
  const Program& program = program_of(run.identity);
  if (status == RunStatus::finished) return text + "  " + program.result(read_summary(folder->path));
  const Done done = folder ? read_done(*folder) : Done();
  const auto planned = run.identity.value(program.parts, std::int64_t{0});
  if (status != RunStatus::waiting)
    text += "  " + program.part + " " + std::to_string(done.parts) + " of " + std::to_string(planned);
  if (status == RunStatus::running && done.parts > 0)
    text += ", eta " + clock_text(done.elapsed_seconds / static_cast<double>(done.parts) *
                                  static_cast<double>(planned - done.parts));
  if (status == RunStatus::failed) text += ": " + reason;
  return text;
}

}  // namespace

const std::vector<Command>& commands() {
  static const std::vector<Command> list = {
      {"list", "the experiments that there are", list_experiments},
      {"show", "NAME: its runs, with every option and where it comes from", show_experiment},
      {"run", "NAME… --out DIR: does the runs and tabulates them", run_experiments},
      {"status", "--out DIR: how far each run is", show_status},
      {"report", "--out DIR: tables, pictures and one HTML page", write_report},
      {"sweep", "--out DIR --OPTION VALUE,VALUE…: a grid over any options of train", sweep},
      {"compare", "DIR…: any run directories side by side", compare}};
  return list;
}

CommandLineOption help_option() {
  return {.option = {"help", false, "print this, and stop"}, .action = true};
}

CommandLineOption out_option() {
  return {.option = {"out", std::string(), "the folder of the runs and results"}, .placeholder = "DIR"};
}

bool parse(const CommandLine& line, const Arguments& arguments, GivenOptions& given, std::vector<std::string>& words) {
  given = line.parse(arguments, words);
  if (value_of(given, "help") == "true") return std::fputs(line.help().c_str(), stdout), false;
  check_options(line, given);
  return true;
}

std::string value_of(const GivenOptions& given, const std::string& name, const std::string& fallback) {
  const std::string* text = find_given(given, name);
  return text ? *text : fallback;
}

std::string out_of(const GivenOptions& given) {
  const std::string out = value_of(given, "out");
  if (out.empty()) throw UserError("--out DIR is needed: where the runs and results lie");
  return out;
}

int list_experiments(const Arguments& arguments) {
  GivenOptions given;
  std::vector<std::string> words;
  if (!parse({"reproduce list",
              "reproduce list",
              "The experiments that are built in.",
              {},
              {{"Options", {help_option()}}}},
             arguments, given, words))
    return 0;
  refuse_words(words);
  std::vector<std::vector<std::string>> rows;
  for (const std::string& name : experiment_names()) {
    const Experiment experiment = find_experiment(name);
    rows.push_back({name, experiment.title});
  }
  std::fputs(columns(rows).c_str(), stdout);
  return 0;
}

int show_experiment(const Arguments& arguments) {
  const CommandLine line{"reproduce show",
                         "reproduce show NAME… [options]",
                         "What an experiment runs. NAME is one of 'reproduce list' or the path of a file.",
                         {},
                         {scaling_group(), {"Others", {help_option()}}}};
  GivenOptions given;
  std::vector<std::string> names;
  if (!parse(line, arguments, given, names)) return 0;
  if (names.empty()) throw UserError("which experiment? (known: 'reproduce list')");
  const Scaling scaling = scaling_of(given);
  const Selection only = parse_pairs("only", value_of(given, "only"));
  for (const std::string& name : names) {
    const Plan plan = make_plan(find_experiment(name), scaling);
    check_selection(only, {plan});
    std::printf("%s\n%s\n%s\n%s\n", heading(plan).c_str(), plan.source.c_str(), plan.notes.c_str(),
                counted(std::ssize(tasks({plan}, only, scaling.seeds)), "run").c_str());
    for (const Group& group : plan.groups)
      if (const std::vector<PlannedRun> runs = wanted(group, only, scaling.seeds); !runs.empty())
        print_group(group, runs);
  }
  return 0;
}

int run_experiments(const Arguments& arguments) {
  CommandLine line{"reproduce run",
                   "reproduce run NAME… --out DIR [options]",
                   "Does the runs of experiments, each a process of its own, and tabulates them. Finished runs are not "
                   "repeated, interrupted ones go on.",
                   {},
                   {scaling_group(), running_group()}};
  GivenOptions given;
  std::vector<std::string> names;
  if (!parse(line, arguments, given, names)) return 0;
  if (names.empty()) throw UserError("which experiment? (known: 'reproduce list')");
  const std::string out = out_of(given);
  const Scaling scaling = scaling_of(given);
  const Selection only = parse_pairs("only", value_of(given, "only"));
  std::vector<Plan> plans;
  for (const std::string& name : names) plans.push_back(make_plan(find_experiment(name), scaling));
  check_selection(only, plans);
  for (const Plan& plan : plans) std::printf("%s\n", heading(plan).c_str());
  return run_plans(plans, out, only, scaling.seeds, given);
}

int show_status(const Arguments& arguments) {
  const CommandLine line{"reproduce status",
                         "reproduce status --out DIR",
                         "How far each run of the experiments in a folder is.",
                         {},
                         {{"Options", {out_option(), help_option()}}}};
  GivenOptions given;
  std::vector<std::string> words;
  if (!parse(line, arguments, given, words)) return 0;
  refuse_words(words);
  const std::string out = out_of(given);
  const RunStore store(out);
  for (const Plan& plan : plans_in(out)) {
    std::map<RunStatus, std::int64_t> counts;
    std::vector<std::vector<std::string>> rows;
    for (const Group& group : plan.groups) {
      for (const PlannedRun& run : group.runs) {
        ++counts[store.status(run)];
        rows.push_back({"  " + run.name, describe_state(store, run)});
      }
    }
    std::string summary;
    for (const auto& [status, count] : counts)
      summary += (summary.empty() ? "" : ", ") + std::to_string(count) + " " + name_of(status);
    std::printf("%s\n%zu runs: %s\n%s", heading(plan).c_str(), runs_in(plan), summary.c_str(), columns(rows).c_str());
  }
  return 0;
}

}  // namespace actgrad::reproduce
