#include "apps/optimise/descent.h"

#include <algorithm>

#include "kernels/elementwise.h"
#include "optim/hyperadam/unroll.h"
#include "optim/training_step.h"

namespace actgrad {
namespace {

bool is_learned(const std::string& name) {
  const std::vector<std::string> names = optimizer_names();
  return std::find(names.begin(), names.end(), name) == names.end();
}

// The loss on the batch at hand, forward and backward.
double differentiate(Problem& problem, const Pass& settings) {
  Tape tape;
  Pass pass = settings;
  pass.tape = &tape;
  const Loss loss = problem.loss(pass);
  tape.backward({loss.seed});
  return loss.mean();
}

class OptimizerDescent final : public Descent {
 public:
  OptimizerDescent(const std::string& name, const Options& options, Problem& problem)
      : problem_(problem),
        lr_(options.number("lr")),
        optimizer_(make_optimizer(name, problem.model(), options)),
        step_(problem.model(), *optimizer_, {.record = false}) {}

  double step() override {
    problem_.next_batch();
    double loss = 0;
    step_.run(lr_, 1, 1, [&](const Pass& pass) {
      const double value = differentiate(problem_, pass);
      if (pass.primary) loss = value;
    });
    return loss;
  }

  std::size_t state_bytes() { return optimizer_->state_bytes(); }

 private:
  Problem& problem_;
  double lr_;
  std::unique_ptr<Optimizer> optimizer_;
  TrainingStep step_;
};

class OptimizerMaker final : public DescentMaker {
 public:
  OptimizerMaker(const std::string& name, const Options& options, Problem& problem)
      : name_(name), options_(options), problem_(problem) {}
  std::unique_ptr<Descent> make() override { return std::make_unique<OptimizerDescent>(name_, options_, problem_); }
  std::size_t state_bytes() override { return OptimizerDescent(name_, options_, problem_).state_bytes(); }

 private:
  std::string name_;
  Options options_;
  Problem& problem_;
};

// A learned rule moves all parameters as one vector without gaps: its norms are taken over all of them.
class RuleDescent final : public Descent {
 public:
  RuleDescent(const LearnedRule& rule, double lr, Problem& problem)
      : rule_(rule), lr_(lr), problem_(problem), path_(start_path(rule, gather())) {}

  double step() override {
    const Objective objective = [this](const Tensor&, Tensor& g) {
      problem_.next_batch();
      parameters().clear_gradients();
      const double loss = differentiate(problem_, {.training = true});
      each_part(
          g, [](const Parameter& parameter, Tensor part) { kernels::copy(parameter.grad(), part, Write::overwrite); });
      return loss;
    };
    const double loss = follow(rule_, objective, 1, lr_, path_).front();
    each_part(path_.w, [](const Parameter& parameter, const Tensor& part) {
      Tensor to = parameter.value();
      kernels::copy(part, to, Write::overwrite);
    });
    return loss;
  }

 private:
  ParameterSet& parameters() { return problem_.model().parameters(); }

  // Each parameter with its part of a vector of all.
  template <class Body>
  void each_part(const Tensor& vector, const Body& body) {
    std::int64_t begin = 0;
    for (const Parameter* parameter : parameters().list()) {
      body(*parameter, vector.view(begin, parameter->shape));
      begin += parameter->numel();
    }
  }

  Tensor gather() {
    Tensor vector = Tensor::empty({parameters().count()}, parameters().dtype(), parameters().device());
    each_part(vector, [](const Parameter& parameter, Tensor part) {
      kernels::copy(parameter.value(), part, Write::overwrite);
    });
    return vector;
  }

  const LearnedRule& rule_;
  double lr_;
  Problem& problem_;
  Path path_;
};

class RuleMaker final : public DescentMaker {
 public:
  RuleMaker(const std::string& name, const Options& options, Problem& problem)
      : problem_(problem), lr_(options.number("lr")) {
    Options of_rule(learned_rule_options(name));
    const std::string& path = options.text("weights");
    if (path.empty()) throw UserError("--weights: " + name + " needs a file of its weights (metatrain makes one)");
    const TensorFile file = read_tensor_file(path);
    if (const auto kind = file.metadata.find("optimizer"); kind != file.metadata.end() && kind->second != name)
      throw UserError("--weights: " + path + " holds weights of " + kind->second);
    // What was not given is as the weights were learned.
    for (const Option& option : of_rule.table()) {
      const auto learned = file.metadata.find("option." + option.name);
      if (options.was_set(option.name) || learned == file.metadata.end())
        of_rule.set(option.name, options.value(option.name));
      else
        of_rule.set_text(option.name, learned->second);
    }
    const ParameterSet& parameters = problem.model().parameters();
    rule_ = make_learned_rule(name, of_rule, parameters.dtype(), /*seed=*/0, parameters.device());
    rule_->load(file.tensors, path);
  }

  std::unique_ptr<Descent> make() override { return std::make_unique<RuleDescent>(*rule_, lr_, problem_); }

  std::size_t state_bytes() override {
    std::size_t bytes = 0;
    for (const Variable& tensor : rule_->initial_state(problem_.model().parameters().count()).tensors)
      bytes += tensor.value().bytes();
    return bytes;
  }

 private:
  Problem& problem_;
  double lr_;
  std::unique_ptr<LearnedRule> rule_;
};

}  // namespace

std::vector<std::string> descent_names() {
  std::vector<std::string> names = optimizer_names();
  for (const std::string& name : learned_rule_names())
    if (is_learned(name)) names.push_back(name);
  return names;
}

std::string descent_help(const std::string& name) {
  return is_learned(name) ? learned_rule_help(name) : optimizer_help(name);
}

OptionTable descent_options(const std::string& name, const std::string& base) {
  if (!is_learned(name)) return optimizer_options(name, base);
  OptionTable table = learned_rule_options(name);
  table.insert(table.begin(), {Option{"lr", name == "hyperadam" ? 0.005 : 1.0, "length of a step"}.above(0),
                               Option{"weights", std::string(), "file of its weights, as metatrain writes it"}});
  return table;
}

std::unique_ptr<DescentMaker> make_descent_maker(const std::string& name, const Options& options, Problem& problem) {
  if (is_learned(name)) return std::make_unique<RuleMaker>(name, options, problem);
  return std::make_unique<OptimizerMaker>(name, options, problem);
}

}  // namespace actgrad
