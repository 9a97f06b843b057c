// Optimizers by name, and the settings that the experiments use where they differ from an optimizer's defaults.
#include <functional>

#include "optim/adaact.h"
#include "optim/adam.h"
#include "optim/sgd.h"

namespace actgrad {
namespace {

struct Entry {
  std::string name, help;
  OptionTable options;
  std::function<std::unique_ptr<Optimizer>(Model&, const Options&)> make;
};

template <class O, class... Arguments>
Entry entry_of(std::string name, std::string help, Arguments... arguments) {
  OptionTable table = O::options(arguments...);
  for (Option& option : common_optimizer_options()) table.push_back(std::move(option));
  return {std::move(name), std::move(help), std::move(table), [arguments...](Model& model, const Options& options) {
            return std::make_unique<O>(model, options, arguments...);
          }};
}

const std::vector<Entry>& entries() {
  static const std::vector<Entry> list = {
      entry_of<Sgd>("sgd", "stochastic gradient descent with momentum"),
      entry_of<Adam>("adam", "Adam with L2 weight decay (Kingma and Ba 2015)", Adam::Decay::l2),
      entry_of<Adam>("adamw", "Adam with decoupled weight decay (Loshchilov and Hutter 2019)", Adam::Decay::decoupled),
      entry_of<AdaAct>("adaact", "momentum and one rate per input, from the activations' second moment (AdaAct paper)"),
  };
  return list;
}

const Entry& entry(const std::string& name) {
  for (const Entry& candidate : entries())
    if (candidate.name == name) return candidate;
  throw UserError(unknown_name("optimizer", name, optimizer_names()));
}

}  // namespace

std::vector<std::string> optimizer_names() {
  std::vector<std::string> names;
  for (const Entry& candidate : entries()) names.push_back(candidate.name);
  return names;
}

std::string optimizer_help(const std::string& name) {
  return entry(name).help;
}
OptionTable optimizer_options(const std::string& name) {
  return entry(name).options;
}

std::vector<Recommended> recommended_options(const std::string& optimizer, const std::string& model,
                                             const std::string& data) {
  std::vector<Recommended> list;
  if (optimizer == "sgd" && (model == "lenet5" || model == "mlp"))
    list.push_back({"lr", 0.01, "our choice: 0.1 is unstable without batch normalisation"});
  if (optimizer == "sgd" && data == "cifar100") list.push_back({"nesterov", true, "published code, CIFAR-100"});
  return list;
}

std::unique_ptr<Optimizer> make_optimizer(const std::string& name, Model& model, const Options& options) {
  return entry(name).make(model, options);
}

std::unique_ptr<Optimizer> make_optimizer(const std::string& name, Model& model) {
  return make_optimizer(name, model, Options(optimizer_options(name)));
}

}  // namespace actgrad
