#include "optim/adaact.h"

#include <cmath>
#include <limits>

namespace actgrad {

OptionTable AdaAct::options() {
  const std::string paper = "AdaAct paper, Appendix E", code = "published code";
  return {
      Option{"lr", 0.1, "learning rate"}.at_least(0).from(paper),
      Option{"beta1", 0.9, "decay of the momentum"}.range_open_high(0, 1).from(paper),
      Option{"beta2", 0.999, "decay of the activations' second moment"}.range_open_high(0, 1).from(paper),
      Option{"eps", 1e-8, "added to the root, outside of it"}.at_least(0).from(code),
      Option{"weight-decay", 2e-3, "decoupled: shrinks every parameter by lr·wd"}.at_least(0).from(code + ", CIFAR"),
      Option{"variance-min", 0.0, "lower bound of the second moment (section 5.1, A4)"}.at_least(0),
      Option{"variance-max", 0.0, "upper bound of the second moment (section 5.1, A4); 0: none"}.at_least(0),
  };
}

AdaAct::AdaAct(Model& model, const Options& options)
    : Optimizer(model),
      beta1_(options.number("beta1")),
      beta2_(options.number("beta2")),
      eps_(options.number("eps")),
      weight_decay_(options.number("weight-decay")),
      variance_min_(options.number("variance-min")),
      variance_max_(options.number("variance-max")),
      step_(parameters_.device()),
      m_(parameters_.zeros_like()) {
  if (variance_max_ == 0) variance_max_ = std::numeric_limits<double>::infinity();
  if (variance_min_ > variance_max_) throw UserError("--variance-min is above --variance-max");
  bias_rate_ = Tensor::empty({1, 1}, parameters_.dtype(), parameters_.device());
  Tensor one = Tensor::empty({1, 1}, parameters_.dtype(), parameters_.device());
  kernels::fill(one, 1);
  step_.set({.correction1 = 1, .correction2 = 1, .eps = eps_, .low = variance_min_, .high = variance_max_});
  kernels::adaact_rate(one, step_, bias_rate_);
  for (WeightedLayer* layer : model.weighted_layers())
    layers_.push_back(
        {layer, Tensor::zeros({layer->groups(), layer->columns()}, parameters_.dtype(), parameters_.device()), {}});
}

// Algorithm 1, the statistic: A_j = mean over all rows of a_j². Summed over micro-batches; the moving average moves
// once per step.
void AdaAct::on_input(const WeightedLayer& layer, const Tensor& x) {
  for (Layer& state : layers_)
    if (state.layer == &layer) state.a.add(layer.input_second_moment(x), layer.rows(x));
}

void AdaAct::prepare(double lr) {
  Optimizer::prepare(lr);
  const double t = static_cast<double>(steps_);
  step_.set({lr, beta1_, weight_decay_, 1 - std::pow(beta1_, t), 1 - std::pow(beta2_, t), eps_, variance_min_,
             variance_max_});
}

void AdaAct::update() {
  for (Layer& state : layers_) update_layer(state);
  for (const Parameter* parameter : model_.other_parameters()) update_plain(*parameter);
}

void AdaAct::update_layer(Layer& state) {
  const Parameter& weight = state.layer->weight();
  const Parameter* bias = state.layer->bias();
  ACTGRAD_CHECK(!weight.variable.has_grad() || !state.a.empty(),
                "AdaAct saw no input of layer " + state.layer->name() + ": attach it with Pass::probe");
  if (!state.a.empty()) {
    kernels::mix(state.v, beta2_, state.a.mean(), 1 - beta2_);  // line 5: V = β₂V + (1−β₂)A
    state.a.clear();
  }
  // M = β₁M + (1−β₁)G;   W = (1 − lr·wd)·W − lr·(M/(1−β₁ᵗ))·rate
  if (weight.variable.has_grad()) {
    // line 12: one rate per input, i.e. per column of W: 1/(√(V/(1−β₂ᵗ)) + ε)
    Tensor rate = Tensor::empty(state.v.shape(), state.v.dtype(), state.v.device());
    kernels::adaact_rate(state.v, step_, rate);
    const Shape matrix{state.layer->groups(), state.layer->out() / state.layer->groups(), state.layer->columns()};
    update_matrices(weight, matrix, rate);
  }
  // The bias is a column whose input is always 1, hence V̂ = 1.
  if (bias && bias->variable.has_grad()) update_matrices(*bias, {1, bias->numel(), 1}, bias_rate_);
}

// matrices: (groups, rows, columns) of the parameter; rate: (groups, columns).
void AdaAct::update_matrices(const Parameter& parameter, const Shape& matrices, const Tensor& rate) {
  const Tensor p = parameter.value().reshape(matrices), g = parameter.grad().reshape(matrices);
  const Tensor m = parameters_.view(m_, parameter).reshape(matrices);
  const std::int64_t rows = matrices[1], columns = matrices[2];
  for (std::int64_t group = 0; group < matrices[0]; ++group) {
    auto of_group = [&](const Tensor& all) { return all.slice(group, group + 1).reshape({rows, columns}); };
    Tensor p_group = of_group(p), m_group = of_group(m);
    kernels::adaact_step(p_group, of_group(g), m_group, rate.slice(group, group + 1).reshape({columns}), step_);
  }
}

// Parameters that belong to no weighted layer (BatchNorm's scale and shift): a plain gradient step, no momentum, no
// second moment, and the same decoupled weight decay. The paper is silent about them; this is what the published code
// does.
void AdaAct::update_plain(const Parameter& parameter) {
  if (!parameter.variable.has_grad()) return;
  Tensor p = parameter.value();
  kernels::adaact_plain_step(p, parameter.grad(), step_);
}

std::vector<NamedTensor> AdaAct::state() {
  std::vector<NamedTensor> state = {{"momentum", m_}};
  for (const Layer& layer : layers_) state.push_back({"second_moment." + layer.layer->name(), layer.v});
  return state;
}

}  // namespace actgrad
