// Optimizers by name, and the settings that the experiments use where they differ from an optimizer's defaults.
#include <algorithm>
#include <functional>

#include "optim/adaact.h"
#include "optim/adaact_full.h"
#include "optim/adam.h"
#include "optim/adan.h"
#include "optim/eva.h"
#include "optim/foof.h"
#include "optim/hyperadam/learned_optimizer.h"
#include "optim/kfac.h"
#include "optim/lamb.h"
#include "optim/sam.h"
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

Entry adaact_entry() {
  Entry entry =
      entry_of<AdaAct>("adaact", "momentum and one rate per input, from the activations' second moment (AdaAct paper)");
  entry.make = [](Model& model, const Options& options) -> std::unique_ptr<Optimizer> {
    if (options.text("covariance") == "full") return std::make_unique<AdaActFull>(model, options);
    return std::make_unique<AdaAct>(model, options);
  };
  return entry;
}

// SAM is made around another optimizer.
Entry sam_entry() {
  return {"sam", "sharpness-aware minimisation around another optimizer (Foret et al. 2021)", Sam::options(),
          [](Model& model, const Options& options) {
            const std::string& name = options.text("base-optim");
            Options base(optimizer_options(name));
            for (const Option& option : base.table()) base.set(option.name, options.value(option.name));
            return std::make_unique<Sam>(model, options, make_optimizer(name, model, base));
          }};
}

Entry learned_entry(const std::string& rule) {
  return {rule, "learned: " + learned_rule_help(rule), LearnedOptimizer::options(rule),
          [rule](Model& model, const Options& options) {
            return std::make_unique<LearnedOptimizer>(model, options, rule);
          }};
}

const std::vector<Entry>& entries() {
  static const std::vector<Entry> list = {
      entry_of<Sgd>("sgd", "stochastic gradient descent with momentum"),
      entry_of<Adam>("adam", "Adam with L2 weight decay (Kingma and Ba 2015)", Adam::Decay::l2),
      entry_of<Adam>("adamw", "Adam with decoupled weight decay (Loshchilov and Hutter 2019)", Adam::Decay::decoupled),
      entry_of<Adan>("adan", "Adan: Nesterov's momentum from differences of gradients (Xie et al. 2022)"),
      entry_of<Lamb>("lamb", "LAMB: Adam's direction, as long as a share of each tensor's norm (You et al. 2020)"),
      entry_of<Kfac>("kfac", "Kronecker-factored curvature (Martens and Grosse 2015)"),
      entry_of<Foof>("foof", "the inverse covariance of each layer's inputs (Benzing 2022)"),
      entry_of<Eva>("eva", "Kronecker-factored curvature of rank one (Zhang et al. 2023)"),
      sam_entry(),
      adaact_entry(),
      learned_entry("hyperadam"),
      learned_entry("rnnprop"),
      learned_entry("dm"),
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
OptionTable own_optimizer_options(const std::string& name) {
  return entry(name).options;
}

OptionTable optimizer_options(const std::string& name, const std::string& base) {
  OptionTable table = own_optimizer_options(name);
  for (Option& option : table) {
    if (option.name != "base-optim") continue;
    if (base == name) throw UserError("--base-optim: " + name + " cannot be its own base");
    if (!base.empty()) option.fallback = base;
    for (const Option& inner : optimizer_options(to_text(option.fallback))) table.push_back(inner);
    break;  // `option` may have moved
  }
  return table;
}

std::vector<Recommended> recommended_options(const std::string& optimizer, const std::string& model,
                                             const std::string& data) {
  struct Rule {
    std::string optimizer;
    std::vector<std::string> models, data;  // empty: any
    Recommended recommended;
  };
  const std::vector<std::string> any, without_batch_norm = {"lenet5", "mlp"};
  const std::vector<std::string> for_cifar = {"lenet5", "resnet20", "resnet32", "resnet44", "resnet56", "resnet110"};
  const std::vector<Rule> rules = {
      {"sgd", without_batch_norm, any, {"lr", 0.01, "our choice: 0.1 is unstable without batch normalisation"}},
      {"sgd", any, {"cifar100"}, {"nesterov", true, "published code, CIFAR-100"}},
      {"lamb", without_batch_norm, any, {"lr", 0.01, "our choice"}},
      {"kfac", any, {"cifar100"}, {"damping", 10.0, "AdaAct paper, Appendix E: 1, 10; our choice which for what"}},
      {"eva", without_batch_norm, any, {"lr", 0.002, "our choice: 0.1 is unstable without batch normalisation"}},
      {"hyperadam", for_cifar, any, {"lr", 0.0005, "our choice: the first steps of 0.005 end LeNet-5's training"}},
  };
  const auto among = [](const std::string& name, const std::vector<std::string>& names) {
    return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
  };
  std::vector<Recommended> list;
  for (const Rule& rule : rules)
    if (rule.optimizer == optimizer && among(model, rule.models) && among(data, rule.data))
      list.push_back(rule.recommended);
  return list;
}

std::string default_schedule(const std::string& optimizer) {
  const std::vector<std::string> learned = learned_rule_names();
  return std::find(learned.begin(), learned.end(), optimizer) != learned.end() ? "constant" : "cosine";
}

std::unique_ptr<Optimizer> make_optimizer(const std::string& name, Model& model, const Options& options) {
  return entry(name).make(model, options);
}

std::unique_ptr<Optimizer> make_optimizer(const std::string& name, Model& model) {
  return make_optimizer(name, model, Options(optimizer_options(name)));
}

}  // namespace actgrad
