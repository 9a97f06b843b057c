#include "optim/adaact_full.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/natural_gradient.h"

namespace actgrad {

using kernels::Transpose;

AdaActFull::AdaActFull(Model& model, const Options& options)
    : Optimizer(model, options),
      beta1_(options.number("beta1")),
      beta2_(options.number("beta2")),
      eps_(options.number("eps")),
      weight_decay_(options.number("weight-decay")),
      t_inv_(options.integer("t-inv")),
      momentum_others_(options.flag("momentum-others")),
      step_(parameters_.device()),
      gradients_(model),
      m_(parameters_.zeros_like()),
      directions_(parameters_.zeros_like()),
      one_(Tensor::empty({1}, parameters_.dtype(), parameters_.device())) {
  for (const char* other : {"variance-min", "variance-max"})
    if (options.number(other) != 0) throw UserError(std::string("--") + other + ": only with the diagonal covariance");
  if (options.number("exponent") != 0.5 || options.text("statistics") != "per-step")
    throw UserError("--covariance full goes with --exponent 0.5 and --statistics per-step");
  kernels::fill(one_, 1);
  for (const LayerGradients::Layer& l : gradients_.layers()) {
    const std::int64_t groups = l.layer->groups(), n = l.layer->columns_with_bias();
    layers_.push_back({l.layer, CurvatureFactor(groups, n, 0.0, model.dtype(), model.dtype(), parameters_.device()),
                       Tensor::zeros({groups, n, n}, model.dtype(), parameters_.device())});
  }
}

void AdaActFull::prepare(double lr) {
  Optimizer::prepare(lr);
  // beta1 is 0: the momentum is taken before the root is.
  step_.set({.lr = lr,
             .beta1 = 0,
             .weight_decay = weight_decay_,
             .correction1 = 1 - std::pow(beta1_, static_cast<double>(steps_))});
}

void AdaActFull::on_input(const WeightedLayer& layer, const Tensor& x) {
  state_of(layers_, layer).a.batch().add(layer.rows(x), [&](Tensor& mean) { layer.write_input_covariance(x, mean); });
}

// A = β₂A + (1−β₂) · mean of ã ãᵀ
void AdaActFull::end_passes() {
  for (Layer& state : layers_) state.a.commit(beta2_);
}

// (A/(1−β₂ᵗ) + εI)^(−1/2) = Q (d/(1−β₂ᵗ) + ε)^(−1/2) Qᵀ
void AdaActFull::refresh() {
  std::vector<Eigensystem> systems;
  for (Layer& state : layers_) {
    const Tensor& a = state.a.average();
    systems.push_back({a, a.clone(), Tensor::zeros({a.dim(0), a.dim(1)}, DType::float64, a.device()), 0});
  }
  const std::vector<bool> solved = solve(systems);
  const double correction = 1 - std::pow(beta2_, static_cast<double>(steps_));
  for (std::size_t i = 0; i < systems.size(); ++i) {
    if (!solved[i]) continue;
    auto& [a, vectors, values, smallest] = systems[i];
    std::vector<double> roots = values.to_vector<double>();
    for (double& root : roots) {
      root = std::sqrt(root / correction + eps_);
      if (root == 0) root = std::numeric_limits<double>::infinity();  // a dead input does not move
    }
    Tensor scale = Tensor::empty(values.shape(), a.dtype(), a.device()), rows = scale.clone(), scaled = vectors.clone();
    kernels::cast(Tensor::from(values.shape(), roots).to(a.device()), scale);
    kernels::fill(rows, 1);
    kernels::divide_by_kronecker(scaled, rows, scale, 0);
    kernels::matrix_product(Transpose::no, Transpose::yes, scaled, vectors, layers_[i].root, Write::overwrite);
  }
}

// M = β₁M + (1−β₁)G;   p = (1 − lr·wd)·p − lr·(M/(1−β₁ᵗ))·root
// The gradients' place is used for what follows from them: it holds M, then M·root. The kernel of the diagonal form
// then takes that as its gradient, with β₁ = 0, so that its own momentum (`directions_`) is no more than a copy.
void AdaActFull::update() {
  for (const Span& span : parameters_.spans_with_gradient()) {
    Tensor m = m_.slice(span.begin, span.end);
    kernels::mix(m, beta1_, parameters_.gradients().slice(span.begin, span.end), 1 - beta1_);
  }
  const auto take_momentum = [&](const Parameter* parameter) {
    if (!parameter || !parameter->variable.has_grad()) return;
    Tensor gradient = parameter->grad();
    gradient.copy_from(parameters_.view(m_, *parameter));
  };
  for (LayerGradients::Layer& l : gradients_.layers()) {
    take_momentum(&l.layer->weight());
    take_momentum(l.layer->bias());
  }
  if (momentum_others_)
    for (const Parameter* parameter : model_.other_parameters()) take_momentum(parameter);

  gradients_.multiply_by([&](std::size_t i) { return layers_[i].root; });
  find_pieces();
  Tensor p = parameters_.values();
  kernels::adaact_step(p, parameters_.gradients(), directions_, one_, pieces_, step_);
}

void AdaActFull::find_pieces() {
  std::vector<kernels::AdaActPiece> pieces;
  const auto add = [&](const Parameter* parameter, std::int64_t rate) {
    if (parameter && parameter->variable.has_grad())
      pieces.push_back({parameter->offset, parameter->offset + parameter->numel(), 1, rate, decays(*parameter)});
  };
  for (const LayerGradients::Layer& l : gradients_.layers()) {
    add(&l.layer->weight(), 0);
    add(l.layer->bias(), 0);
  }
  for (const Parameter* parameter : model_.other_parameters()) add(parameter, momentum_others_ ? 0 : -1);
  std::sort(pieces.begin(), pieces.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
  pieces_.assign(pieces, parameters_.device());
}

std::vector<NamedTensor> AdaActFull::state() {
  std::vector<NamedTensor> state = {{"momentum", m_}};
  for (Layer& layer : layers_) {
    state.push_back({"input_covariance." + layer.layer->name(), layer.a.average()});
    state.push_back({"inverse_root." + layer.layer->name(), layer.root});
  }
  return state;
}

}  // namespace actgrad
