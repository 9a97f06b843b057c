#include "apps/optimise/descent.h"

#include <algorithm>

#include "optim/hyperadam/learned_optimizer.h"

namespace actgrad {
namespace {

bool is_of_train(const std::string& name) {
  const std::vector<std::string> names = optimizer_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::unique_ptr<Optimizer> make(const std::string& name, Model& model, const Options& options) {
  if (is_of_train(name)) return make_optimizer(name, model, options);
  return std::make_unique<LearnedOptimizer>(model, options, name);
}

}  // namespace

bool is_learned(const std::string& name) {
  const std::vector<std::string> names = learned_rule_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<std::string> descent_names() {
  std::vector<std::string> names = optimizer_names();
  for (const std::string& name : learned_rule_names())
    if (!is_of_train(name)) names.push_back(name);
  return names;
}

std::string descent_help(const std::string& name) {
  return is_of_train(name) ? optimizer_help(name) : "learned: " + learned_rule_help(name);
}

OptionTable descent_options(const std::string& name, const std::string& base) {
  if (!is_learned(name)) return optimizer_options(name, base);
  OptionTable table = LearnedOptimizer::options(name);
  table.push_back({"weights-id", std::string(), "refuse other weights than these; empty: take what there is"});
  return table;
}

Descent::Descent(const std::string& optimizer, const Options& options, Problem& problem)
    : problem_(problem),
      lr_(options.number("lr")),
      optimizer_(make(optimizer, problem.model(), options)),
      step_(problem.model(), *optimizer_, {.record = false}) {}

double Descent::step() {
  problem_.next_batch();
  double mean = 0;
  step_.run(lr_, 1, 1, [&](const Pass& settings) {
    Tape tape;
    Pass pass = settings;
    pass.tape = &tape;
    const Loss loss = problem_.loss(pass);
    if (pass.primary) mean = loss.mean();
    tape.backward({loss.seed});
  });
  return mean;
}

}  // namespace actgrad
