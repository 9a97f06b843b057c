#include "apps/metatrain/meta_config.h"

#include <nlohmann/json.hpp>
#include <set>

#include "apps/training/build_info.h"
#include "apps/training/training_options.h"
#include "kernels/parallel.h"

namespace actgrad {
namespace {

const std::set<std::string> may_change = {"epochs", "threads", "data-dir", "save-every"};

CommandLineGroup task_group() {
  return {
      "Task",
      {{.option = Option{"task", std::string("mnist"), "what is trained on; synthetic needs no download"}.one_of(
            {"mnist", "fashion-mnist", "synthetic"})},
       training_option("data-dir"),
       {.option = {"hidden", std::string("20"), "sizes of the network's hidden layers"}, .placeholder = "LIST"},
       {.option = {"activation", std::string("sigmoid"),
                   "of the network: relu, sigmoid, tanh, elu; several: trainings take turns"},
        .placeholder = "LIST"},
       {.option = Option{"batch-size", std::int64_t{128}, "images per batch"}.range(1, 1e6)},
       {.option = Option{"train-samples", std::int64_t{55000}, "use only the first N training images"}.at_least(1)},
       {.option = {"random-scaling", true, "every coordinate has a scale of its own"}, .default_text = "on; dm: off"},
       {.option = {"convex-combination", true, "a convex function of 20 more coordinates is added to the loss"},
        .default_text = "on; dm: off"}}};
}

CommandLineGroup training_group() {
  return {
      "Meta-training",
      {{.option = Option{"epochs", std::int64_t{700}, "epochs of meta-iterations"}.range(1, 1e6)},
       {.option = Option{"meta-iterations", std::int64_t{100}, "trainings of the network per epoch"}.range(1, 1e6)},
       {.option = Option{"steps", std::int64_t{100}, "steps of each training"}.range(1, 1e6)},
       // A loss says how good the steps before it were: the only one of a segment of one step comes before that step.
       {.option = Option{"segment", std::int64_t{20}, "steps through which gradients flow"}.range(2, 1e4)},
       {.option = Option{"lr", 0.005, "of the learned optimizer"}.above(0), .default_text = "0.005; rnnprop, dm: 1"},
       {.option = Option{"meta-lr", 1e-4, "of Adam, which learns the optimizer"}.at_least(0),
        .default_text = "0.0001; with convex combination alone: 5e-05"},
       {.option = Option{"loss", std::string("mean"), "of a segment: the mean of its steps, or the last"}.one_of(
            {"mean", "last"}),
        .default_text = "mean; rnnprop: last"},
       {.option = Option{"evaluations", std::int64_t{10}, "trainings without tricks, after each epoch"}.range(1, 1e4)},
       {.option = Option{"seed", std::int64_t{0}, "of weights, starts, scales and batches"}.at_least(0)}}};
}

CommandLineGroup run_group() {
  return {
      "Run",
      {{.option = Option{"threads", std::int64_t{kernels::threads()}, "CPU threads"}.range(1, 1024),
        .default_text = "all cores"},
       {.option = {"out", std::string(), "run directory"},
        .placeholder = "DIR",
        .default_text = "runs/metatrain-<optimizer>-<task>-<date>"},
       {.option = {"init", std::string(), "start from the optimizer's weights in this file"}, .placeholder = "FILE"},
       {.option = Option{"save-every", std::int64_t{10}, "keep the weights of every N-th epoch"}.at_least(1)}}};
}

CommandLineGroup optimizer_group() {
  CommandLineGroup group{
      "Optimizer",
      {{.option = Option{"optimizer", std::string("hyperadam"), "what is learned"}.one_of(learned_rule_names())}}};
  for (const std::string& name : learned_rule_names())
    for (Option option : learned_rule_options(name)) {
      option.help = name + ": " + option.help;
      group.options.push_back({.option = std::move(option)});
    }
  return group;
}

OptionTable run_table() {
  OptionTable table = {optimizer_group().options.front().option};
  for (const CommandLineGroup& group : {task_group(), training_group(), run_group()})
    for (const CommandLineOption& entry : group.options) table.push_back(entry.option);
  return table;
}

// The defaults of the baselines, and of the ablations: as in the published code.
void set_defaults(Options& run) {
  const auto fallback = [&](const std::string& name, const OptionValue& value) {
    if (!run.was_set(name)) run.set(name, value);
  };
  const std::string rule = run.text("optimizer");
  if (rule != "hyperadam") fallback("lr", 1.0);  // their output is the step
  if (rule == "rnnprop") fallback("loss", std::string("last"));
  if (rule == "dm") fallback("random-scaling", false), fallback("convex-combination", false);
  if (run.flag("convex-combination") && !run.flag("random-scaling")) fallback("meta-lr", 5e-5);
}

}  // namespace

std::vector<CommandLineGroup> meta_option_groups() {
  return {optimizer_group(), task_group(), training_group(), run_group()};
}

OptimizeeOptions MetaConfig::task() const {
  OptimizeeOptions options = plain();
  options.random_scaling = run.flag("random-scaling");
  options.convex_combination = run.flag("convex-combination");
  return options;
}

OptimizeeOptions MetaConfig::plain() const {
  return {.batch_size = run.integer("batch-size"),
          .random_scaling = false,
          .convex_combination = false,
          .seed = static_cast<std::uint64_t>(run.integer("seed"))};
}

MetaTrainingOptions MetaConfig::training() const {
  return {.epochs = run.integer("epochs"),
          .meta_iterations = run.integer("meta-iterations"),
          .steps = run.integer("steps"),
          .segment = run.integer("segment"),
          .lr = run.number("lr"),
          .meta_lr = run.number("meta-lr"),
          .loss = choice<SegmentLoss>(run, "loss", {{"mean", SegmentLoss::mean}, {"last", SegmentLoss::last}}),
          .evaluations = run.integer("evaluations")};
}

std::map<std::string, std::string> MetaConfig::identity() const {
  std::map<std::string, std::string> identity;
  for (const GivenOption& value : values_of(parts()))
    if (!may_change.contains(value.name) && value.name != "out" && value.name != "init")
      identity[value.name] = value.text;
  return identity;
}

std::string MetaConfig::to_json() const {
  nlohmann::ordered_json json;
  for (const GivenOption& value : values_of(parts())) json["options"][value.name] = value.text;
  json["version"] = version();
  json["commit"] = commit();
  for (const auto& [name, text] : machine_description()) json["machine"][name] = text;
  return json.dump(2) + "\n";
}

MetaConfig resolve_meta_config(const GivenOptions& given) {
  MetaConfig config{Options(run_table()), {}};
  if (const std::string* name = find_given(given, "optimizer")) config.run.set_text("optimizer", *name);
  config.rule = Options(learned_rule_options(config.rule_name()));
  for (const GivenOption& option : given) {
    if (config.run.contains(option.name))
      config.run.set_text(option.name, option.text);
    else if (config.rule.contains(option.name))
      config.rule.set_text(option.name, option.text);
    else
      throw UserError("--" + option.name + ": not an option of " + config.rule_name());
  }
  set_defaults(config.run);
  return config;
}

MetaConfig resume_meta_config(const std::string& directory, const GivenOptions& given) {
  return resumed(read_run_record(directory), given, may_change, resolve_meta_config);
}

}  // namespace actgrad
