#include "optim/hyperadam/learned_rule.h"

#include <cmath>
#include <functional>

#include "core/random.h"
#include "kernels/elementwise.h"
#include "optim/hyperadam/hyperadam_rule.h"
#include "optim/hyperadam/recurrent_rules.h"

namespace actgrad {

RuleState LearnedRule::initial_state(std::int64_t n) const {
  RuleState state;
  for (std::int64_t features : state_features())
    state.tensors.emplace_back(Tensor::zeros({features, n}, weights_.dtype(), weights_.device()));
  return state;
}

std::vector<NamedTensor> LearnedRule::named_weights() const {
  std::vector<NamedTensor> tensors;
  for (const Parameter& parameter : parameters_) tensors.push_back({parameter.name, parameter.value().clone()});
  return tensors;
}

void LearnedRule::load(const std::vector<NamedTensor>& tensors, const std::string& origin) {
  const auto find = [&](const std::string& name) -> const Tensor* {
    for (const NamedTensor& entry : tensors)
      if (entry.name == name) return &entry.tensor;
    return nullptr;
  };
  for (const Parameter& parameter : parameters_) {
    const Tensor* tensor = find(parameter.name);
    if (!tensor) throw UserError(origin + ": no tensor '" + parameter.name + "'");
    if (tensor->shape() != parameter.shape)
      throw UserError(origin + ": '" + parameter.name + "' is " + tensor->shape().to_string() + ", expected " +
                      parameter.shape.to_string());
  }
  if (tensors.size() != parameters_.size()) throw UserError(origin + ": more tensors than this optimizer has");
  for (Parameter& parameter : parameters_) {
    Tensor to = parameter.value();
    kernels::cast(find(parameter.name)->to(to.device()), to);
  }
}

Parameter& LearnedRule::add(const std::string& name, const Shape& shape, Start start, double spread) {
  Parameter& parameter = parameters_.emplace_back();
  parameter.name = name;
  parameter.shape = shape;
  firsts_.push_back({start, spread});
  return parameter;
}

void LearnedRule::assemble(DType dtype, std::uint64_t seed, Device device) {
  std::vector<Parameter*> list;
  for (Parameter& parameter : parameters_) list.push_back(&parameter);
  weights_ = ParameterSet(list, dtype, device);
  for (std::size_t i = 0; i < list.size(); ++i) {
    Random random(seed, Purpose::init, i);  // metatrain's optimizees begin from these streams too (Optimizee::start)
    const auto [start, spread] = firsts_[i];
    const auto draw = [&, start = start, spread = spread]() -> double {
      if (start == Start::zero) return 0;
      if (start == Start::uniform) return random.uniform(-spread, spread);
      double value = random.normal();
      while (std::abs(value) > 2) value = random.normal();
      return spread * value;
    };
    std::vector<double> values(static_cast<std::size_t>(list[i]->numel()));
    for (double& value : values) value = draw();
    Tensor to = list[i]->value();
    kernels::cast(Tensor::from(list[i]->shape, values).to(device), to);
  }
}

namespace {

struct Entry {
  std::string name, help;
  OptionTable options;
  std::function<std::unique_ptr<LearnedRule>(const Options&, DType, std::uint64_t, Device)> make;
};

template <class Rule>
Entry entry_of(std::string name, std::string help) {
  return {std::move(name), std::move(help), Rule::options(),
          [](const Options& options, DType dtype, std::uint64_t seed, Device device) -> std::unique_ptr<LearnedRule> {
            return std::make_unique<Rule>(options, dtype, seed, device);
          }};
}

const std::vector<Entry>& entries() {
  static const std::vector<Entry> list = {
      entry_of<HyperAdamRule>("hyperadam", "candidates of Adam with learned decay rates, weighted (Wang et al. 2019)"),
      entry_of<RnnPropRule>("rnnprop", "an LSTM on Adam's and RMSprop's directions (Lv, Jiang and Li 2017)"),
      entry_of<DmRule>("dm", "an LSTM on the gradient's logarithm (Andrychowicz et al. 2016)")};
  return list;
}

const Entry& entry(const std::string& name) {
  for (const Entry& candidate : entries())
    if (candidate.name == name) return candidate;
  throw UserError(unknown_name("learned optimizer", name, learned_rule_names()));
}

}  // namespace

std::vector<std::string> learned_rule_names() {
  std::vector<std::string> names;
  for (const Entry& candidate : entries()) names.push_back(candidate.name);
  return names;
}

std::string learned_rule_help(const std::string& name) {
  return entry(name).help;
}
OptionTable learned_rule_options(const std::string& name) {
  return entry(name).options;
}

std::unique_ptr<LearnedRule> make_learned_rule(const std::string& name, const Options& options, DType dtype,
                                               std::uint64_t seed, Device device, bool fused) {
  if (fused && name == "hyperadam" && FusedHyperAdamRule::supports(options))
    return std::make_unique<FusedHyperAdamRule>(options, dtype, seed, device);
  return entry(name).make(options, dtype, seed, device);
}

}  // namespace actgrad
