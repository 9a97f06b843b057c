#include "apps/reproduce/program.h"

#include <set>

#include "apps/optimise/optimise_config.h"
#include "apps/reproduce/text.h"
#include "apps/training/run_config.h"
#include "apps/training/training_options.h"
#include "layers/model.h"
#include "optim/optimizer.h"

namespace actgrad::reproduce {
namespace {

// What a run writes besides its result: another one may have written more and do as well.
const std::set<std::string> recordings = {"record", "save-every"};

template <class Config>
ResolvedOptions resolved(const Config& config, const std::string& parts) {
  ResolvedOptions result{Json::object(), {}, config.sources, 0};
  const Json options = Json::parse(config.to_json()).at("options");
  const std::map<std::string, std::string> names = config.identity();
  for (const auto& [name, value] : options.items())
    if ((names.contains(name) || name == parts) && !recordings.contains(name)) result.identity[name] = value;
  for (const Option& option : config.optimizer.table()) result.of_optimizer.push_back(option.name);
  if (config.run.contains("save-every")) result.save_every = config.run.integer("save-every");
  return result;
}

ResolvedOptions resolve_train(const GivenOptions& options) {
  return resolved(resolve_config(options), "epochs");
}

ResolvedOptions resolve_optimise(const GivenOptions& options) {
  return resolved(resolve_optimise_config(options), "starts");
}

Json fallback_in(const std::string& name, const std::vector<OptionTable>& tables) {
  for (const OptionTable& table : tables)
    if (const Option* option = find_option(table, name))
      return std::visit([](const auto& value) { return Json(value); }, option->fallback);
  return {};
}

Json train_fallback(const std::string& name, const Json& identity) {
  const std::string optimizer = identity.at("optim"), base = identity.value("base-optim", "");
  return fallback_in(name, {run_options(), optimizer_options(optimizer, base),
                            model_options(identity.at("model").get<std::string>())});
}

Json optimise_fallback(const std::string& name, const Json& identity) {
  const std::string optimizer = identity.at("optim"), base = identity.value("base-optim", "");
  return fallback_in(name, {optimise_run_options(), descent_options(optimizer, base)});
}

std::string train_data(const Json& identity) {
  return identity.at("data");
}

std::string optimise_data(const Json& identity) {
  return identity.at("synthetic").get<bool>() ? "" : find_task(identity.at("task").get<std::string>()).data;
}

std::string train_result(const Json& summary) {
  return "best " + fixed(summary.value("best_test_accuracy", 0.0), 2) + "%, last " +
         fixed(summary.value("last_test_accuracy", 0.0), 2) + "%";
}

// A loss that is not finite is null in the file.
std::string optimise_result(const Json& summary) {
  const auto text = [&](const std::string& name) {
    const Json value = summary.value(name, Json());
    return value.is_number() ? fixed(value.get<double>(), 4) : "not finite";
  };
  return text("last_loss") + " ± " + text("last_loss_se") + ", over all batches " + text("final_loss");
}

const std::vector<Program>& programs() {
  static const std::vector<Program> list = {
      {.name = "train",
       .part = "epoch",
       .parts = "epochs",
       .naming = {"model", "data", "optim"},
       .short_options = {{"epochs", "10"}},
       .smoke_options = {{"data", "synthetic"},
                         {"epochs", "2"},
                         {"train-samples", "256"},
                         {"test-samples", "100"},
                         {"batch-size", "64"}},
       .counts = {"epochs"},
       .smoke_mark = ", small models",
       .metrics = {{"best_test_accuracy", "best"}},
       .digits = 2,
       .table_title = "Test accuracy (%), mean ± standard error",
       .summary_title = "Best test accuracy (%)",
       .other_title = "last",
       .curve_step = "epoch",
       .result_title = "test accuracy ",
       .resolve = resolve_train,
       .fallback = train_fallback,
       .data = train_data,
       .result = train_result},
      {.name = "optimise",
       .part = "start",
       .parts = "starts",
       .naming = {"task", "optim", "steps"},
       .short_options = {{"steps", "100"}, {"starts", "10"}},
       .smoke_options =
           {{"synthetic", "true"}, {"steps", "3"}, {"starts", "2"}, {"train-samples", "128"}, {"batch-size", "16"}},
       .counts = {"steps", "starts"},
       .smoke_mark = "",
       .metrics = {{"last_loss", "at the last step"},
                   {"final_loss", "over all batches"},
                   {"top1", "top-1 %"},
                   {"top2", "top-2 %"},
                   {"test_loss", "test loss"}},
       .digits = 3,
       .table_title = "Mean over the starts ± standard error",
       .summary_title = "Mean over the starts",
       .other_title = "over all batches",
       .curve_step = "step",
       .result_title = "loss at the last step ",
       .resolve = resolve_optimise,
       .fallback = optimise_fallback,
       .data = optimise_data,
       .result = optimise_result}};
  return list;
}

}  // namespace

const Program& find_program(const std::string& name) {
  std::vector<std::string> names;
  for (const Program& program : programs()) {
    if (program.name == name) return program;
    names.push_back(program.name);
  }
  throw UserError(unknown_name("program", name, names));
}

const Program& program_of(const Json& options) {
  return find_program(options.contains("task") ? "optimise" : "train");
}

}  // namespace actgrad::reproduce
