#include "apps/reproduce/outputs.h"

#include <algorithm>
#include <filesystem>

#include "apps/reproduce/table.h"
#include "core/atomic_file.h"
#include "core/error.h"

namespace actgrad::reproduce {
namespace {

namespace fs = std::filesystem;
constexpr const char* plan_file = "experiment.json";

std::string markdown(const Plan& plan, const Evaluated& experiment, const RunStore& store) {
  std::string text = "# " + plan.title + "\n\n" + (plan.mark.empty() ? "" : "**" + plan.mark + "**\n\n") + plan.source +
                     "\n\n" + (plan.notes.empty() ? "" : plan.notes + "\n\n");
  for (const Table& table : {summary_table(experiment), result_table(experiment), missing_table(experiment, store),
                             option_table(experiment), provenance_table(experiment, store)})
    if (!table.rows.empty()) text += to_markdown(table);
  return text;
}

}  // namespace

std::vector<Plan> plans_in(const std::string& out) {
  std::error_code error;
  const fs::directory_iterator entries(out, error);
  if (error) throw UserError("cannot read " + out + ": " + error.message());
  std::vector<std::string> paths;
  for (const auto& entry : entries)
    if (fs::exists(entry.path() / plan_file, error)) paths.push_back((entry.path() / plan_file).string());
  if (paths.empty()) throw UserError(out + " holds no experiment: 'reproduce run NAME --out " + out + "' makes one");
  std::sort(paths.begin(), paths.end());
  std::vector<Plan> plans;
  for (const std::string& path : paths) plans.push_back(load_plan(path));
  return plans;
}

void write_outputs(const Plan& plan, const RunStore& store) {
  const std::string folder = store.out() + "/" + plan.name;
  make_folder(folder);
  const Json json = to_json(plan, [&](const PlannedRun& run, Json& entry) {
    const RunFolder* place = store.find(run);
    entry["directory"] = place ? fs::path(place->path).lexically_relative(store.out()).string() : "";
    entry["status"] = name_of(store.status(run));
  });
  write_file_atomically(folder + "/" + plan_file, json.dump(1) + "\n");
  const Evaluated experiment = evaluate(plan, store);
  write_file_atomically(folder + "/table.csv", to_csv(number_table(experiment)));
  write_file_atomically(folder + "/table.md", markdown(plan, experiment, store));
  write_file_atomically(folder + "/curves.csv", to_csv(curve_table(experiment)));
}

}  // namespace actgrad::reproduce
