#include "apps/training/run_config.h"

#include <algorithm>
#include <set>

#include "apps/training/build_info.h"
#include "apps/training/recordings.h"
#include "apps/training/training_options.h"
#include "core/error.h"
#include "core/split.h"
#include "kernels/algorithm_choice.h"
#include "kernels/parallel.h"
#include "layers/model.h"
#include "optim/optimizer.h"

namespace actgrad {
namespace {

// Options that say where things lie or how fast they go.
const std::set<std::string> without_influence = {"out",   "data-dir", "device",    "threads",
                                                 "graph", "record",   "save-every"};
// Options that --resume accepts although they differ from the record.
const std::set<std::string> resumable = {"epochs", "threads", "device", "data-dir", "graph"};
// The source of a data set that nobody named.
const std::string found_in_directory = "what lies in the data directory";

// The value of `name`: from the command line, else the file, else the default.
std::string chosen(const std::string& name, const GivenOptions& given, const GivenOptions& file) {
  if (const std::string* text = find_given(given, name)) return *text;
  if (const std::string* text = find_given(file, name)) return *text;
  return to_text(find_option(run_options(), name)->fallback);
}

// The optimizer inside of one that is made around another; the optimizer itself otherwise.
std::string base_optimizer(const std::string& optimizer, const GivenOptions& given, const GivenOptions& file) {
  const Option* const option = find_option(optimizer_options(optimizer), "base-optim");
  if (!option) return optimizer;
  for (const GivenOptions* options : {&given, &file})
    if (const std::string* text = find_given(*options, "base-optim")) return *text;
  return to_text(option->fallback);
}

void refuse_unknown(const std::string& what, const std::string& name, const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), name) == known.end()) throw UserError(unknown_name(what, name, known));
}

std::string names_of(const OptionTable& table) {
  std::string names;
  for (const Option& option : table) names += (names.empty() ? "" : ", ") + option.name;
  return names;
}

// Whether the option belongs to some model (or optimizer).
bool belongs_to_any(const std::string& name, const std::vector<std::string>& owners,
                    OptionTable (*table_of)(const std::string&)) {
  return std::any_of(owners.begin(), owners.end(),
                     [&](const std::string& owner) { return find_option(table_of(owner), name) != nullptr; });
}

// Puts a value that somebody gave where it belongs; `owner_changed`: values of another model or optimizer are passed
// over.
void place(RunConfig& config, const GivenOption& value, bool model_changed, bool optimizer_changed) {
  const std::string& name = value.name;
  if (config.run.contains(name)) {
    config.run.set_text(name, value.text);
  } else if (belongs_to_any(name, optimizer_names(), own_optimizer_options)) {
    if (optimizer_changed) return;
    if (!config.optimizer.contains(name))
      throw UserError("--" + name + ": " + config.optimizer_name() +
                      " has no such option (it has: " + names_of(config.optimizer.table()) + ")");
    config.optimizer.set_text(name, value.text);
  } else if (belongs_to_any(name, model_names(), model_options)) {
    if (model_changed) return;
    if (!config.model.contains(name))
      throw UserError("--" + name + ": " + config.model_name() + " has no such option" +
                      (config.model.table().empty() ? "" : " (it has: " + names_of(config.model.table()) + ")"));
    config.model.set_text(name, value.text);
  } else {
    std::vector<std::string> known;
    for (const CommandLineGroup& group : training_option_groups())
      for (const CommandLineOption& option : group.options) known.push_back(option.option.name);
    const std::string nearest = nearest_name(name, known);
    throw UserError("unknown option '" + name + "'" + (nearest.empty() ? "" : ": did you mean '" + nearest + "'?"));
  }
}

// The optimizer's values: where each comes from, and what the paper uses where nobody gave one.
void resolve_optimizer(RunConfig& config, const GivenOptions& given, const GivenOptions& file) {
  for (const Recommended& recommended :
       recommended_options(config.base_optimizer_name(), config.model_name(), config.data_name())) {
    if (config.optimizer.was_set(recommended.option)) continue;
    config.optimizer.set(recommended.option, recommended.value);
    config.sources[recommended.option] = recommended.source;
  }
  for (const Option& option : config.optimizer.table()) {
    if (find_given(given, option.name))
      config.sources[option.name] = "command line";
    else if (config.sources.count(option.name) == 0)
      config.sources[option.name] = config.optimizer.was_set(option.name) && find_given(file, option.name)
                                        ? "configuration file"
                                        : (option.source.empty() ? "default" : option.source);
  }
}

void check_schedule(const RunConfig& config, const GivenOptions& given) {
  const Schedule schedule = config.schedule();  // throws for a malformed list
  const auto refuse_unused = [&](const char* name, bool used, const std::string& user) {
    if (find_given(given, name) && !used) throw UserError(std::string("--") + name + ": only " + user + " uses it");
  };
  refuse_unused("milestones", schedule.kind == Schedule::Kind::multistep, "--schedule multistep");
  refuse_unused("gamma", schedule.kind == Schedule::Kind::multistep, "--schedule multistep");
  refuse_unused("min-lr", schedule.kind == Schedule::Kind::cosine, "--schedule cosine");
  refuse_unused("warmup-lr", schedule.warmup_epochs > 0, "--warmup-epochs");
  if (schedule.warmup_epochs > 0 && schedule.warmup_epochs >= config.run.integer("epochs"))
    throw UserError("--warmup-epochs: " + std::to_string(schedule.warmup_epochs) + " leave none of " +
                    std::to_string(config.run.integer("epochs")) + " epochs");
  if (schedule.min_lr > config.optimizer.number("lr")) throw UserError("--min-lr is above --lr");
}

}  // namespace

void check_precision(const Options& options) {
  const std::string& precision = options.text("precision");
  if (kernels::parse_matrix_precision(precision) != kernels::MatrixPrecision::full && options.text("device") == "cpu")
    throw UserError("--precision " + precision + ": only on a CUDA device");
}

void prepare_process(const Options& options) {
  for (const char* name : {"autotune", "fast-nondeterministic"})
    if (options.flag(name) && options.text("device") == "cpu")
      throw UserError(std::string("--") + name + ": only on a CUDA device");
  kernels::set_threads(static_cast<int>(options.integer("threads")));
  kernels::set_matrix_precision(kernels::parse_matrix_precision(options.text("precision")));
  kernels::set_algorithm_policy(
      {.autotune = options.flag("autotune"), .nondeterministic = options.flag("fast-nondeterministic")});
}

Schedule RunConfig::schedule() const {
  Schedule schedule;
  schedule.kind = Schedule::parse_kind(run.text("schedule"));
  schedule.gamma = run.number("gamma");
  schedule.min_lr = run.number("min-lr");
  schedule.warmup_epochs = run.integer("warmup-epochs");
  schedule.warmup_lr = run.number("warmup-lr");
  schedule.per_step = run.text("schedule-per") == "step";
  if (schedule.kind != Schedule::Kind::multistep) return schedule;
  const Option epoch = Option{"milestones", std::int64_t{1}, ""}.at_least(1);
  const std::string& list = run.text("milestones");
  for (const std::string& part : split(list)) schedule.milestones.push_back(std::get<std::int64_t>(epoch.parse(part)));
  for (std::size_t i = 1; i < schedule.milestones.size(); ++i)
    if (schedule.milestones[i] <= schedule.milestones[i - 1])
      throw UserError("--milestones: " + list + " does not increase");
  return schedule;
}

std::map<std::string, std::string> RunConfig::identity() const {
  std::map<std::string, std::string> identity;
  for (const GivenOption& value : values_of(parts()))
    if (without_influence.count(value.name) == 0 && value.name != "epochs") identity[value.name] = value.text;
  return identity;
}

RunConfig resolve_config(const GivenOptions& given, const GivenOptions& file) {
  const std::string model = chosen("model", given, file), optimizer = chosen("optim", given, file);
  refuse_unknown("model", model, model_names());
  refuse_unknown("optimizer", optimizer, optimizer_names());
  const std::string base = base_optimizer(optimizer, given, file);
  RunConfig config{
      Options(run_options()), Options(model_options(model)), Options(optimizer_options(optimizer, base)), {}};
  config.run.set("model", model).set("optim", optimizer);

  const std::string *file_model = find_given(file, "model"), *file_optimizer = find_given(file, "optim");
  for (const GivenOption& value : file)
    place(config, value, file_model && *file_model != model, file_optimizer && *file_optimizer != optimizer);
  for (const GivenOption& value : given) place(config, value, false, false);
  if (!config.run.was_set("schedule")) config.run.set("schedule", default_schedule(optimizer));

  const std::string data = config.data_name(), directory = config.run.text("data-dir");
  if (data == "auto") {
    config.run.set("data", dataset_available("cifar10", directory) ? "cifar10" : "synthetic");
    config.sources["data"] = found_in_directory;
  } else {
    refuse_unknown("data set", data, dataset_names());
    config.sources["data"] = find_given(given, "data") ? "command line" : "configuration file";
  }
  if (!config.run.was_set("augment")) config.run.set("augment", dataset_augmented(config.data_name()));
  config.run.set("device", config.device().name());
  check_precision(config.run);
  config.conv_engine();  // UserError if there is none of that name
  Recordings::parse(config.run.text("record"));
  resolve_optimizer(config, given, file);
  check_schedule(config, given);
  return config;
}

RunConfig resume_config(const std::string& directory, const GivenOptions& given, std::vector<std::string>& notes) {
  const RunRecord record = read_run_record(directory);
  const RunConfig config =
      resumed(record, given, resumable, [](const GivenOptions& options) { return resolve_config({}, options); });
  const auto note_change = [&](const std::string& name, const std::string& consequence) {
    const std::string *before = find_given(record.options, name), now = to_text(config.run.value(name));
    if (before && *before != now) notes.push_back(name + ": " + now + " instead of " + *before + consequence);
  };
  const std::string stretches =
      config.run.text("schedule") == "cosine"
          ? "; the cosine schedule stretches over them, so the learning rate differs from an uninterrupted run's"
          : "";
  note_change("epochs", stretches);
  note_change("device", "");
  note_change("threads", "; sums are taken in another order, so the result is not the uninterrupted run's bit for bit");
  if (record.commit != commit() || record.version != version())
    notes.push_back("the run was started by version " + record.version + " (" + record.commit + "), this is " +
                    version() + " (" + commit() + ")");
  return config;
}

std::string describe_data(const RunConfig& config, const Dataset& data) {
  std::string text = "data: " + data.name;
  const auto source = config.sources.find("data");
  if (data.name == "synthetic" && source != config.sources.end() && source->second == found_in_directory)
    text += " (no cifar10 in " + config.run.text("data-dir") + ": scripts/get_data fetches it)";
  return text + ", " + std::to_string(data.train.size()) + " training and " + std::to_string(data.test.size()) +
         " test images";
}

}  // namespace actgrad
