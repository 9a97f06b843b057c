#include "apps/reproduce/running.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "apps/reproduce/outputs.h"
#include "apps/reproduce/report.h"
#include "apps/reproduce/table.h"
#include "apps/reproduce/text.h"
#include "apps/training/signals.h"
#include "apps/training/training_options.h"
#include "core/error.h"
#include "data/dataset.h"
#include "kernels/parallel.h"

namespace actgrad::reproduce {
namespace {

// What there is of a plan's results.
void print_results(const Plan& plan, const RunStore& store) {
  const Table table = result_table(evaluate(plan, store));
  std::vector<std::vector<std::string>> rows = {table.header};
  rows.insert(rows.end(), table.rows.begin(), table.rows.end());
  std::printf("\n%s\n%s\n%s", plan.title.c_str(), table.title.c_str(), columns(rows).c_str());
}

// What would make every run fail is said before any starts.
void check_data(const std::vector<PlannedRun>& runs, const RunStore& store, const std::string& directory) {
  for (const PlannedRun& run : runs) {
    const std::string data = program_of(run.identity).data(run.identity);
    if (!data.empty() && !dataset_available(data, directory) && store.status(run) != RunStatus::finished)
      throw UserError("no " + data + " in " + directory +
                      ": scripts/get_data fetches it, --data-dir says where it lies");
  }
}

}  // namespace

CommandLineGroup running_group() {
  CommandLineOption threads = training_option("threads");
  threads.option.help = "CPU threads of each run";
  threads.default_text = "cores / jobs";
  return {"Running",
          {out_option(),
           {.option = Option{"jobs", std::int64_t{1}, "runs side by side"}.range(1, 1024)},
           threads,
           {.option = {"data-dir", std::string(), "where data sets lie (or set ACTGRAD_DATA)"}, .placeholder = "DIR"},
           {.option = {"device", std::string(), "auto, cpu, cuda, cuda:N"}, .placeholder = "NAME"},
           {.option = {"pictures", true, "draw them in the end (scripts/plot)"}},
           {.option = {"retry", false, "also try again the runs that failed"}, .action = true},
           help_option()}};
}

int run_plans(const std::vector<Plan>& plans, const std::string& out, const Selection& only, std::int64_t seeds,
              const GivenOptions& given) {
  catch_stop_signals();
  RunnerOptions options;
  options.jobs = std::stoll(value_of(given, "jobs", "1"));
  options.threads = std::max<std::int64_t>(kernels::threads() / options.jobs, 1);
  if (find_given(given, "threads")) options.threads = std::stoll(value_of(given, "threads"));
  const std::string usual_data = std::get<std::string>(find_option(run_options(), "data-dir")->fallback);
  options.data_dir = std::filesystem::absolute(value_of(given, "data-dir", usual_data)).string();
  options.device = value_of(given, "device");
  options.retry = value_of(given, "retry") == "true";

  RunStore store(out);
  const std::vector<PlannedRun> runs = tasks(plans, only, seeds);
  check_data(runs, store, options.data_dir);
  const auto write_all = [&] {
    store.refresh();
    for (const Plan& plan : plans) write_outputs(plan, store);
  };
  write_all();
  const RunnerOutcome outcome = do_runs(runs, store, options, write_all);
  write_all();
  if (const int signal = stop_signal()) {
    std::printf("stopped; to go on, give the same command\n");
    return 128 + signal;
  }
  std::string text = counted(outcome.finished, "run") + " finished";
  if (outcome.failed > 0) text += ", " + std::to_string(outcome.failed) + " failed";
  if (outcome.interrupted > 0) text += ", " + std::to_string(outcome.interrupted) + " interrupted";
  if (outcome.elsewhere > 0) text += ", " + std::to_string(outcome.elsewhere) + " under way elsewhere";
  std::printf("%s\n", text.c_str());
  for (const Plan& plan : plans) print_results(plan, store);
  std::printf("\n");
  for (const Plan& plan : plans) {
    const std::string folder = store.out() + "/" + plan.name;
    std::string picture = "off";
    if (value_of(given, "pictures", "true") == "true") picture = draw_picture(plan, store);
    std::printf("%s: table.md%s\n", folder.c_str(),
                picture.empty() ? (", " + plan.name + ".svg").c_str() : ("; no picture: " + picture).c_str());
  }
  std::printf("one page of everything: reproduce report --out %s\n", store.out().c_str());
  return outcome.complete() ? 0 : 1;
}

}  // namespace actgrad::reproduce
