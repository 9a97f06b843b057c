#include "apps/optimise/optimise_config.h"

#include <algorithm>
#include <set>

#include "apps/training/training_options.h"
#include "optim/hyperadam/learned_optimizer.h"

namespace actgrad {
namespace {

// Starts are independent of each other: more of them may be asked for later.
const std::set<std::string> may_change = {"starts", "threads", "device", "data-dir"};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

CommandLineGroup task_group() {
  return {"Task",
          {{.option = {"task", std::string("mlp-sigmoid"), "what is optimised; --list tasks shows all"},
            .placeholder = "NAME"},
           {.option = Option{"steps", std::int64_t{100}, "of each start"}.range(1, 1e6)},
           {.option = Option{"starts", std::int64_t{100}, "random starts"}.range(1, 1e6)},
           {.option = Option{"batch-size", std::int64_t{128}, "images or waves per batch"}.range(2, 1e6)},
           {.option = Option{"train-samples", std::int64_t{55000}, "use only the first N training images"}.at_least(1)},
           {.option = {"synthetic", false, "made-up images in place of the task's: needs no download"}},
           training_option("data-dir"),
           {.option = Option{"seed", std::int64_t{0}, "of parameters, batches and dropout"}.at_least(0)}}};
}

CommandLineGroup optimizer_group() {
  return {"Optimizer", {{.option = {"optim", std::string("adam"), joined(optimizer_names())}, .placeholder = "NAME"}}};
}

CommandLineGroup run_group() {
  CommandLineOption out = training_option("out"), device = training_option("device");
  out.default_text = "runs/optimise-<task>-<optim>-<date>";
  device.option.fallback = std::string("cpu");
  return {"Run", {device, training_option("threads"), out}};
}

OptionTable own_options(const std::string& optimizer) {
  return is_learned(optimizer) ? descent_options(optimizer) : own_optimizer_options(optimizer);
}

// The optimizer's table; of one that is made around another, such as SAM, with that one's.
OptionTable table_of(const std::string& optimizer, const GivenOptions& given) {
  const std::vector<std::string> known = optimizer_names();
  if (std::find(known.begin(), known.end(), optimizer) == known.end())
    throw UserError(unknown_name("optimizer", optimizer, known));
  const std::string* base = find_given(given, "base-optim");
  return descent_options(optimizer, base ? *base : "");
}

// Weights that cannot be read have no identifier: the run itself says why.
void identify_weights(OptimiseConfig& config) {
  if (!is_learned(config.optimizer_name())) return;
  std::string id;
  try {
    id = learned_weights_id(config.optimizer_name(), config.optimizer.text("weights"));
  } catch (const UserError&) {
    return;
  }
  const std::string wanted = config.optimizer.text("weights-id");
  if (!wanted.empty() && wanted != id)
    throw UserError("the weights of " + config.optimizer_name() + " are not those of the run (--weights-id " + wanted +
                    "), but " + id);
  config.optimizer.set("weights-id", id);
}

void set_defaults(OptimiseConfig& config) {
  const auto fallback = [&](const std::string& name, double value, const std::string& source) {
    if (!config.optimizer.contains(name) || config.optimizer.was_set(name)) return;
    config.optimizer.set(name, value);
    config.sources[name] = source;
  };
  const std::string published = "HyperAdam, published code";
  fallback("weight-decay", 0, published);
  const Task& task = find_task(config.task_name());
  const Task::TunedRate* rate = tuned_rate(task, config.run.integer("steps"));
  if (config.optimizer_name() == "adam" && rate)
    fallback("lr", rate->lr,
             published +
                 (rate->steps == config.run.integer("steps") ? "" : ", for " + std::to_string(rate->steps) + " steps"));
}

}  // namespace

OptionTable optimise_run_options() {
  OptionTable table;
  for (const CommandLineGroup& group : {task_group(), optimizer_group(), run_group()})
    for (const CommandLineOption& entry : group.options) table.push_back(entry.option);
  return table;
}

std::vector<CommandLineGroup> optimise_option_groups() {
  CommandLineGroup optimizer = optimizer_group();
  for (CommandLineOption& option : merged_options(optimizer_names(), own_options)) {
    if (option.option.name == "lr")
      option.default_text = "adam: tuned for the task, where that was done; " + option.default_text;
    if (option.option.name == "weight-decay") option.default_text = "0";
    optimizer.options.push_back(std::move(option));
  }
  return {task_group(), std::move(optimizer), run_group()};
}

ProblemOptions OptimiseConfig::problem() const {
  return {.data_dir = run.text("data-dir"),
          .synthetic = run.flag("synthetic"),
          .train_samples = run.integer("train-samples"),
          .batch_size = run.integer("batch-size"),
          .seed = static_cast<std::uint64_t>(run.integer("seed")),
          .device = Device::parse(run.text("device"))};
}

std::map<std::string, std::string> OptimiseConfig::identity() const {
  std::map<std::string, std::string> identity;
  for (const GivenOption& value : values_of(parts()))
    if (!may_change.contains(value.name) && value.name != "out") identity[value.name] = value.text;
  return identity;
}

OptimiseConfig resolve_optimise_config(const GivenOptions& given) {
  OptimiseConfig config{Options(optimise_run_options()), {}, {}};
  if (const std::string* name = find_given(given, "optim")) config.run.set_text("optim", *name);
  config.optimizer = Options(table_of(config.optimizer_name(), given));
  for (const GivenOption& option : given) {
    if (config.run.contains(option.name)) {
      config.run.set_text(option.name, option.text);
    } else if (config.optimizer.contains(option.name)) {
      config.optimizer.set_text(option.name, option.text);
      config.sources[option.name] = "command line";
    } else {
      throw UserError("--" + option.name + ": " + config.optimizer_name() + " has no such option");
    }
  }
  config.run.set("device", Device::parse(config.run.text("device")).name());
  set_defaults(config);
  identify_weights(config);
  for (const Option& option : config.optimizer.table())
    config.sources.emplace(option.name, option.source.empty() ? "default" : option.source);
  return config;
}

OptimiseConfig resume_optimise_config(const std::string& directory, const GivenOptions& given) {
  return resumed(read_run_record(directory), given, may_change, resolve_optimise_config);
}

}  // namespace actgrad
