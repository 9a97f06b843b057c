#include "optim/foof.h"

#include <cmath>

#include "kernels/elementwise.h"

namespace actgrad {

OptionTable Foof::options() {
  const std::string paper = "AdaAct paper, Appendix E";
  return {
      Option{"lr", 0.05, "learning rate"}.at_least(0).from(paper),
      Option{"momentum", 0.9, "share of the previous update that is kept"}.range_open_high(0, 1).from(paper),
      Option{"weight-decay", 5e-4, "L2: added to the gradient"}.at_least(0).from("the authors' first README"),
      Option{"factor-decay", 0.95, "share of the old factors that stays when they move"}.range_open_high(0, 1).from(
          paper),
      Option{"damping", 1.0, "added to the diagonal of the factors"}.above(0).from(paper),
      Option{"t-cov", std::int64_t{5}, "steps from one statistic of the activations to the next"}.at_least(1).from(
          paper),
      Option{"t-inv", std::int64_t{50}, "steps from one inversion to the next"}.at_least(1).from(paper),
      Option{"variant", std::string("canonical"), "cifar: the authors' version for CIFAR; original: Benzing's order"}
          .one_of({"canonical", "cifar", "original"})
          .from("published code, ImageNet"),
      Option{"statistic-steps", std::int64_t{10}, "original: steps with a statistic before each inversion"}
          .at_least(1)
          .from("Benzing 2022"),
      factor_dtype_option(),
  };
}

Foof::Foof(Model& model, const Options& options)
    : Optimizer(model, options),
      variant_(choice<Variant>(
          options, "variant",
          {{"canonical", Variant::canonical}, {"cifar", Variant::cifar}, {"original", Variant::original}})),
      t_cov_(options.integer("t-cov")),
      t_inv_(options.integer("t-inv")),
      statistic_steps_(options.integer("statistic-steps")),
      weight_decay_(options.number("weight-decay")),
      momentum_(options.number("momentum")),
      keep_(options.number("factor-decay")),
      damping_(options.number("damping")),
      step_(parameters_.device(), decay_1d_),
      gradients_(model),
      commits_(Tensor::zeros({1}, DType::float64)) {
  if (momentum_ != 0) buffer_ = parameters_.zeros_like();
  const DType dtype = factor_dtype(options, model.dtype());
  for (const LayerGradients::Layer& l : gradients_.layers()) {
    const std::int64_t groups = l.layer->groups(), n = l.layer->columns_with_bias();
    const Tensor inverse = Tensor::zeros({groups, n, n}, model.dtype(), parameters_.device());
    layers_.push_back({l.layer,
                       {groups, n, variant_ == Variant::cifar ? 1.0 : 0.0, model.dtype(), dtype, parameters_.device()},
                       inverse,
                       variant_ == Variant::original ? inverse.clone() : Tensor()});
  }
}

// Every T_cov-th step has a statistic and every T_inv-th an inversion, both before the step's update. The original has
// its statistics in the last steps before each inversion, and what a step inverts serves from the next one on.
void Foof::prepare(double lr) {
  Optimizer::prepare(lr);
  const std::int64_t s = steps_ - 1;
  const bool original = variant_ == Variant::original;
  refreshes_ = s % t_inv_ == 0 && (s == 0 || !original);
  inverts_for_next_ = s % t_inv_ == 0 && s > 0 && original;
  if (inverts_for_next_) invert(&Layer::next);
  takes_statistics_ = original ? s == 0 || (s + statistic_steps_) % t_inv_ < statistic_steps_ : s % t_cov_ == 0;
  if (takes_statistics_) commits_.data<double>()[0] += 1;  // once per step
  const bool decays = variant_ != Variant::cifar || s >= 20 * t_cov_;
  step_.set({.lr = lr, .momentum = original ? 0 : momentum_, .weight_decay = decays ? weight_decay_ : 0});
}

// Eq. (4): A = mean over all rows of ã ãᵀ.
void Foof::on_input(const WeightedLayer& layer, const Tensor& x) {
  if (!takes_statistics_) return;
  Layer& state = state_of(layers_, layer);
  const double rows = static_cast<double>(layer.rows(x));
  state.a.batch().add(layer.rows(x), [&](Tensor& mean) { layer.write_input_covariance(x, mean); });
  // The original's A is a sum: over the batch, or, of a convolution, over the positions of each image.
  state.sums_batch = x.rank() == 2;
  state.positions = rows / static_cast<double>(x.dim(0));
}

// A = m·A + (1−m)·A_batch
void Foof::end_passes() {
  for (Layer& state : layers_) {
    const double sum = state.sums_batch ? state.a.batch().rows() : state.positions;
    state.a.commit(keep_, variant_ == Variant::original ? sum : 1);
  }
}

// P = (A/c + λI)⁻¹ = c·(A + λc·I)⁻¹ with c = 1−mᵏ
void Foof::invert(Tensor Layer::*inverse) {
  const double correction = 1 - std::pow(keep_, commits_.data<double>()[0]);
  std::vector<DampedInverse> problems;
  for (Layer& state : layers_) {
    state.a.reset_if_not_finite(state.layer->name());
    problems.push_back({state.a.average(), damping_ * correction, state.*inverse, correction});
  }
  solve(problems);
}

void Foof::refresh() {
  invert(&Layer::inverse);
}

void Foof::update() {
  if (variant_ == Variant::original) return update_original();
  precondition();                                 // Eq. (3): layer gradient = G·P
  update_all(kernels::sgd_step, step_, buffer_);  // momentum and weight decay, of all parameters
}

// Benzing's Algorithm 1: the momentum of the raw gradients is multiplied by P, which moves only then, before A does.
void Foof::update_original() {
  for (const Span& span : parameters_.spans_with_gradient()) {
    if (!buffer_) break;
    Tensor momentum = buffer_.slice(span.begin, span.end);
    Tensor gradient = parameters_.gradients().slice(span.begin, span.end);
    kernels::mix(momentum, momentum_, gradient, 1);
    kernels::copy(momentum, gradient, Write::overwrite);
  }
  precondition();
  update_all(kernels::sgd_step, step_, Tensor());
  if (inverts_for_next_)
    for (Layer& state : layers_) state.inverse.copy_from(state.next);
}

void Foof::precondition() {
  gradients_.multiply_by([&](std::size_t i) { return layers_[i].inverse; });
}

std::vector<NamedTensor> Foof::state() {
  std::vector<NamedTensor> state;
  if (buffer_) state.push_back({"momentum", buffer_});
  state.push_back({"statistics", commits_});
  for (Layer& layer : layers_) {
    state.push_back({"input_covariance." + layer.layer->name(), layer.a.average()});
    state.push_back({"inverse." + layer.layer->name(), layer.inverse});
  }
  return state;
}

}  // namespace actgrad
