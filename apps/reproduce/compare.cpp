// compare: any run directories side by side.
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "apps/reproduce/commands.h"
#include "apps/reproduce/results.h"
#include "apps/reproduce/text.h"
#include "core/error.h"

namespace actgrad::reproduce {
namespace {

namespace fs = std::filesystem;
const std::set<std::string> places = {"out", "data-dir"};  // options that say nothing about a run

struct Compared {
  RunFolder folder;
  const Json& options() const { return folder.config.at("options"); }
};

// The run in a directory, or those in its subdirectories.
void append_runs(const fs::path& path, std::vector<Compared>& runs, int depth = 0) {
  constexpr int deepest = 2;  // OUT/runs/NAME
  if (const std::optional<RunFolder> folder = read_folder(path.string())) return runs.push_back({*folder});
  if (depth == deepest) return;
  std::error_code error;
  const fs::directory_iterator entries(path, error);
  if (error) throw UserError("cannot read " + path.string() + ": " + error.message());
  std::vector<fs::path> inside;
  for (const auto& entry : entries)
    if (entry.is_directory(error)) inside.push_back(entry.path());
  std::sort(inside.begin(), inside.end());
  for (const fs::path& folder : inside) append_runs(folder, runs, depth + 1);
}

// The options in which the runs differ; one that a run does not have counts as different.
std::vector<std::string> differing_options(const std::vector<Compared>& runs) {
  std::vector<std::string> names;
  for (const Compared& run : runs)
    for (const auto& [name, value] : run.options().items())
      if (!places.count(name) && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  std::erase_if(names, [&](const std::string& name) {
    const Json first = runs.front().options().value(name, Json());
    return std::all_of(runs.begin(), runs.end(),
                       [&](const Compared& run) { return run.options().value(name, Json()) == first; });
  });
  return names;
}

std::vector<std::string> row_of(const Compared& run, const std::vector<std::string>& differing) {
  const Json& options = run.options();
  std::vector<std::string> row = {fs::path(run.folder.path).filename().string()};
  for (const std::string& name : differing) {
    const Json value = options.value(name, Json());
    row.push_back(value.is_null() ? "–" : value.is_string() ? value.get<std::string>() : value.dump());
  }
  const Program& program = program_of(options);
  const Done done = read_done(run.folder);
  row.push_back(std::to_string(done.parts) + "/" + std::to_string(options.value(program.parts, std::int64_t{0})));
  if (done.parts == 0) return row;
  const RunResult result = read_result(run.folder, program.metrics.front().name);
  row.insert(row.end(), {fixed(result.best.mean, program.digits), fixed(result.last.mean, program.digits),
                         fixed(result.seconds_per_part, 2), fixed(done.elapsed_seconds, 1)});
  return row;
}

}  // namespace

int compare(const Arguments& arguments) {
  const CommandLine line{"reproduce compare",
                         "reproduce compare DIR…",
                         "Run directories side by side: the options in which they differ, accuracy and time. A folder "
                         "of run directories stands for all of them.",
                         {},
                         {{"Options", {help_option()}}}};
  GivenOptions given;
  std::vector<std::string> directories;
  if (!parse(line, arguments, given, directories)) return 0;
  if (directories.empty()) throw UserError("which run directories?");
  std::vector<Compared> runs;
  for (const std::string& directory : directories) append_runs(directory, runs);
  if (runs.empty()) throw UserError("no run directory in " + directories.front());
  const std::vector<std::string> differing = differing_options(runs);
  std::vector<std::vector<std::string>> rows = {{"run"}};
  rows.front().insert(rows.front().end(), differing.begin(), differing.end());
  const Program& program = program_of(runs.front().options());
  rows.front().insert(rows.front().end(), {program.parts, program.metrics.front().title, program.other_title,
                                           "s/" + program.part, "s in all"});
  for (const Compared& run : runs) rows.push_back(row_of(run, differing));
  std::fputs(columns(rows).c_str(), stdout);
  return 0;
}

}  // namespace actgrad::reproduce
