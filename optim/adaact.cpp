#include "optim/adaact.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace actgrad {

OptionTable AdaAct::options() {
  const std::string paper = "AdaAct paper, Appendix E", code = "published code", algorithm = "Algorithm 1";
  return {
      Option{"lr", 0.1, "learning rate"}.at_least(0).from(paper),
      Option{"beta1", 0.9, "decay of the momentum"}.range_open_high(0, 1).from(paper),
      Option{"beta2", 0.999, "decay of the activations' second moment"}.range_open_high(0, 1).from(paper),
      Option{"eps", 1e-8, "added to the root, outside of it"}.at_least(0).from(code),
      Option{"weight-decay", 2e-3, "decoupled: shrinks parameters by lr·wd"}.at_least(0).from(code + ", CIFAR"),
      Option{"variance-min", 0.0, "lower bound of the second moment (section 5.1, A4)"}.at_least(0),
      Option{"variance-max", 0.0, "upper bound of the second moment (section 5.1, A4); 0: none"}.at_least(0),
      Option{"exponent", 0.5, "p of the rate 1/(V^p + eps) (Figure 3)"}.above(0).from(algorithm),
      Option{"covariance", std::string("diagonal"), "full: the inverse root of the whole covariance (Figure 3)"}
          .one_of({"diagonal", "full"})
          .from(algorithm),
      Option{"t-inv", std::int64_t{1}, "full covariance: steps from one root to the next"}.at_least(1),
      Option{"statistics", std::string("per-step"),
             "per-forward: the average moves in every micro-batch, as in the published code"}
          .one_of({"per-step", "per-forward"})
          .from("our choice: the same for one batch per step"),
      Option{"momentum-others", false, "momentum also for parameters that belong to no weighted layer"}.from(code),
  };
}

AdaAct::AdaAct(Model& model, const Options& options)
    : Optimizer(model, options),
      beta1_(options.number("beta1")),
      beta2_(options.number("beta2")),
      eps_(options.number("eps")),
      weight_decay_(options.number("weight-decay")),
      variance_min_(options.number("variance-min")),
      variance_max_(options.number("variance-max")),
      exponent_(options.number("exponent")),
      per_forward_(options.text("statistics") == "per-forward"),
      momentum_others_(options.flag("momentum-others")),
      step_(parameters_.device()),
      m_(parameters_.zeros_like()) {
  if (variance_max_ == 0) variance_max_ = std::numeric_limits<double>::infinity();
  if (variance_min_ > variance_max_) throw UserError("--variance-min is above --variance-max");

  constexpr std::int64_t alignment = 16;  // of each layer's part, in elements
  std::int64_t inputs = 0;
  std::vector<std::int64_t> first;
  for (const WeightedLayer* layer : model.weighted_layers()) {
    first.push_back(inputs);
    inputs += (layer->groups() * layer->columns() + alignment - 1) / alignment * alignment;
  }
  v_ = Tensor::zeros({inputs}, parameters_.dtype(), parameters_.device());
  a_ = Tensor::zeros({inputs}, parameters_.dtype(), parameters_.device());
  rates_ = Tensor::zeros({inputs + 2}, parameters_.dtype(), parameters_.device());
  input_rates_ = rates_.slice(0, inputs);
  for (std::size_t i = 0; i < first.size(); ++i) {
    WeightedLayer* const layer = model.weighted_layers()[i];
    const Shape shape{layer->groups(), layer->columns()};
    layers_.push_back({layer, first[i], v_.view(first[i], shape), BatchStatistic(a_.view(first[i], shape))});
  }

  bias_rate_ = rates_.slice(inputs, inputs + 1);
  one_ = rates_.slice(inputs + 1, inputs + 2);
  kernels::fill(one_, 1);
  step_.set({.eps = eps_, .low = variance_min_, .high = variance_max_, .exponent = exponent_});
  kernels::adaact_rate(one_, step_, bias_rate_);
  if (per_forward_) v_bias_ = Tensor::zeros({1}, parameters_.dtype(), parameters_.device());
}

// Algorithm 1, the statistic: A_j = mean over all rows of a_j². Summed over micro-batches; the moving average moves
// once per step.
void AdaAct::on_input(const WeightedLayer& layer, const Tensor& x) {
  Layer& state = state_of(layers_, layer);
  if (per_forward_) state.a.clear();
  state.a.add(layer.rows(x), [&](Tensor& mean) { layer.write_input_second_moment(x, mean); });
  if (per_forward_) move_average(state);
}

// As in the published code: in every forward pass, and those of the first step forget what was there. The correction
// 1−β₂ᵗ counts steps, so with several passes in a step V̂ is too large, also that of the biases.
void AdaAct::move_average(Layer& state) {
  const double keep = steps_ == 1 ? 0 : beta2_;
  kernels::mix(state.v, keep, state.a.mean(), 1 - beta2_);
  if (&state == &layers_.front()) kernels::mix(v_bias_, keep, one_, 1 - beta2_);
}

void AdaAct::prepare(double lr) {
  Optimizer::prepare(lr);
  step_.set(numbers());
}

kernels::AdaActStep AdaAct::numbers() const {
  const double t = static_cast<double>(steps_);
  return {lr_,           beta1_,        weight_decay_, 1 - std::pow(beta1_, t), 1 - std::pow(beta2_, t), eps_,
          variance_min_, variance_max_, exponent_};
}

// Line 5: V = β₂V + (1−β₂)A. A layer that was not used in this step keeps its V.
void AdaAct::end_passes() {
  for (Layer& state : layers_) {
    if (state.a.empty()) {
      ACTGRAD_CHECK(!state.layer->weight().variable.has_grad(),
                    "AdaAct saw no input of layer " + state.layer->name() + ": attach it with Pass::probe");
      state.a.mean().copy_from(state.v);  // β₂V + (1−β₂)V = V
    }
    state.a.clear();
  }
  if (!per_forward_) kernels::mix(v_, beta2_, a_, 1 - beta2_);
}

void AdaAct::update() {
  find_pieces();
  // Line 12: one rate per input, 1/(√(V/(1−β₂ᵗ)) + ε)
  kernels::adaact_rate(v_, step_, input_rates_);
  if (per_forward_) kernels::adaact_rate(v_bias_, step_, bias_rate_);
  // M = β₁M + (1−β₁)G;   W = (1 − lr·wd)·W − lr·(M/(1−β₁ᵗ))·rate
  Tensor p = parameters_.values();
  kernels::adaact_step(p, parameters_.gradients(), m_, rates_, pieces_, step_);
}

// Each weight matrix has the rates of its layer's inputs, one per column. The bias is a column whose input is always 1.
// Parameters that belong to no weighted layer (BatchNorm's scale and shift) take a plain gradient step, no momentum, no
// second moment, and the same decoupled weight decay: the paper is silent about them; this is what the published code
// does.
void AdaAct::find_pieces() {
  std::vector<kernels::AdaActPiece> pieces;
  const auto add = [&](const Parameter& parameter, std::int64_t begin, std::int64_t count, std::int64_t columns,
                       std::int64_t rate) {
    if (parameter.variable.has_grad())
      pieces.push_back({parameter.offset + begin, parameter.offset + begin + count, columns, rate, decays(parameter)});
  };
  for (const Layer& state : layers_) {
    const std::int64_t d = state.layer->columns(), groups = state.layer->groups();
    const Parameter& weight = state.layer->weight();
    const std::int64_t matrix = weight.numel() / groups;
    for (std::int64_t group = 0; group < groups; ++group)
      add(weight, group * matrix, matrix, d, state.first + group * d);
    if (const Parameter* bias = state.layer->bias()) add(*bias, 0, bias->numel(), 1, input_rates_.numel());
  }
  for (const Parameter* parameter : model_.other_parameters())
    add(*parameter, 0, parameter->numel(), 1, momentum_others_ ? input_rates_.numel() + 1 : -1);
  std::sort(pieces.begin(), pieces.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
  pieces_.assign(pieces, parameters_.device());
}

// From V, which a resumed run has too, and not those that update() left behind.
std::vector<NamedTensor> AdaAct::rates() {
  StepValue<kernels::AdaActStep> step(parameters_.device());
  step.set(numbers());
  std::vector<NamedTensor> rates;
  for (const Layer& layer : layers_) {
    rates.push_back({layer.layer->name(), Tensor::empty(layer.v.shape(), layer.v.dtype(), layer.v.device())});
    kernels::adaact_rate(layer.v, step, rates.back().tensor);
  }
  return rates;
}

std::vector<NamedTensor> AdaAct::state() {
  std::vector<NamedTensor> state = {{"momentum", m_}};
  for (const Layer& layer : layers_) state.push_back({"second_moment." + layer.layer->name(), layer.v});
  if (v_bias_) state.push_back({"second_moment_of_biases", v_bias_});
  return state;
}

}  // namespace actgrad
