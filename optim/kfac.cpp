#include "optim/kfac.h"

#include <algorithm>
#include <cmath>

#include "kernels/covariance.h"
#include "kernels/elementwise.h"
#include "kernels/natural_gradient.h"

namespace actgrad {

using kernels::Transpose;

OptionTable Kfac::options() {
  const std::string paper = "AdaAct paper, Appendix E", code = "the authors' first code";
  return {
      Option{"lr", 0.05, "learning rate"}.at_least(0).from(paper),
      Option{"momentum", 0.9, "share of the previous update that is kept"}.range_open_high(0, 1).from(paper),
      Option{"weight-decay", 5e-4, "L2: added to the gradient"}.at_least(0).from("the authors' first README"),
      Option{"delay-decay", true, "no weight decay before step 20·t-cov"}.from(code),
      Option{"factor-decay", 0.9, "share of the old factors that stays when they move"}.range_open_high(0, 1).from(
          paper),
      Option{"damping", 1.0, "added to the curvature"}.above(0).from(paper),
      Option{"kl-clip", 1e-3, "bound of the change that an update makes to the model's predictions; 0: none"}
          .at_least(0)
          .from(code),
      Option{"t-cov", std::int64_t{5}, "steps from one statistic of the activations to the next"}.at_least(1).from(
          paper),
      Option{"t-inv", std::int64_t{50}, "steps from one inversion to the next"}.at_least(1).from(paper),
      Option{"normalization", std::string("rows"), "how the factors are averaged, by whose published code"}
          .one_of({"rows", "kfc", "gpauloski", "averaged", "textbook"})
          .from(code),
      Option{"solver", std::string("eigen"), "cholesky: the two factors are damped and inverted one by one"}
          .one_of({"eigen", "cholesky"})
          .from(code),
      Option{"split", std::string("none"), "cholesky: pi splits the damping between the factors by their traces"}
          .one_of({"none", "pi"})
          .from(code),
      Option{"labels", std::string("true"), "of the output gradients in G; sampled: drawn from the model's predictions"}
          .one_of({"true", "sampled"})
          .from(code),
      factor_dtype_option(),
  };
}

Kfac::Kfac(Model& model, const Options& options)
    : Optimizer(model, options),
      normalization_(choice<FactorNormalization>(options, "normalization",
                                                 {{"rows", FactorNormalization::rows},
                                                  {"kfc", FactorNormalization::kfc},
                                                  {"gpauloski", FactorNormalization::gpauloski},
                                                  {"averaged", FactorNormalization::averaged},
                                                  {"textbook", FactorNormalization::textbook}})),
      eigen_(options.text("solver") == "eigen"),
      split_(options.text("split") == "pi"),
      sampled_labels_(options.text("labels") == "sampled"),
      delay_decay_(options.flag("delay-decay")),
      t_cov_(options.integer("t-cov")),
      t_inv_(options.integer("t-inv")),
      momentum_(options.number("momentum")),
      weight_decay_(options.number("weight-decay")),
      keep_(options.number("factor-decay")),
      damping_(options.number("damping")),
      kl_clip_(options.number("kl-clip")),
      rate_(parameters_.device()),
      step_(parameters_.device(), decay_1d_),
      gradients_(model) {
  if (momentum_ != 0) buffer_ = parameters_.zeros_like();
  if (split_ && eigen_) throw UserError("--split pi needs --solver cholesky");
  const DType dtype = factor_dtype(options, model.dtype());
  for (const LayerGradients::Layer& l : gradients_.layers()) {
    const std::int64_t groups = l.layer->groups();
    layers_.push_back({l.layer, make_side(groups, l.layer->columns_with_bias(), dtype),
                       make_side(groups, l.layer->out() / groups, dtype)});
  }
}

Kfac::Side Kfac::make_side(std::int64_t groups, std::int64_t n, DType dtype) const {
  const Device device = parameters_.device();
  return {CurvatureFactor(groups, n, 1.0, model_.dtype(), dtype, device),
          Tensor::zeros({groups, n, n}, model_.dtype(), device),
          eigen_ ? Tensor::zeros({groups, n}, model_.dtype(), device) : Tensor()};
}

void Kfac::prepare(double lr) {
  Optimizer::prepare(lr);
  const std::int64_t s = steps_ - 1;
  takes_statistics_ = s % t_cov_ == 0;
  refreshes_ = s % t_inv_ == 0;
  rate_.set(lr);
  step_.set({.lr = lr, .momentum = momentum_, .weight_decay = delay_decay_ && s < 20 * t_cov_ ? 0 : weight_decay_});
}

// A = mean over the rows of ã ãᵀ  (averaged: over the images, of what is the mean over an image's rows)
void Kfac::on_input(const WeightedLayer& layer, const Tensor& x) {
  if (!takes_statistics_ || pass_ != 0) return;
  Side& side = state_of(layers_, layer).a;
  side.positions = static_cast<double>(layer.rows(x)) / static_cast<double>(x.dim(0));
  side.images += static_cast<double>(x.dim(0));
  side.factor.batch().add(layer.rows(x), [&](Tensor& mean) {
    if (normalization_ != FactorNormalization::averaged) return layer.write_input_covariance(x, mean);
    Tensor means = Tensor::empty({x.dim(0), mean.dim(0) * mean.dim(1)}, x.dtype(), x.device());
    layer.write_input_means(x, means);
    kernels::group_covariance(means, mean.dim(0), mean);
  });
}

// G = mean over the rows of g gᵀ, g the gradient of the mean loss
void Kfac::on_output_gradient(const WeightedLayer& layer, const Tensor& dy) {
  Side& side = state_of(layers_, layer).g;
  const std::int64_t rows = dy.numel() / dy.dim(-1);
  side.positions = static_cast<double>(rows) / static_cast<double>(dy.dim(0));
  side.images += static_cast<double>(dy.dim(0));
  side.factor.batch().add(rows, [&](Tensor& mean) {
    if (normalization_ != FactorNormalization::averaged) return layer.write_output_gradient_covariance(dy, mean);
    Tensor means = Tensor::empty({dy.dim(0), dy.dim(-1)}, dy.dtype(), dy.device());
    layer.write_output_gradient_means(dy, means);
    kernels::group_covariance(means, mean.dim(0), mean);
  });
}

// A = β·A + (1−β)·A_batch, G likewise
void Kfac::end_passes() {
  for (Layer& state : layers_) {
    state.a.factor.commit(keep_, scale_of_inputs(normalization_, state.a.positions));
    state.g.factor.commit(keep_, scale_of_output_gradients(normalization_, state.g.positions, state.g.images));
    state.a.images = state.g.images = 0;
  }
}

// A = Q_A d_A Q_Aᵀ and G = Q_G d_G Q_Gᵀ; or their damped inverses
void Kfac::refresh() {
  std::vector<Eigensystem> systems;
  std::vector<DampedInverse> inverses;
  for (Layer& state : layers_) {
    for (Side* side : {&state.a, &state.g}) {
      side->factor.reset_if_not_finite(state.layer->name());
      if (eigen_) systems.push_back({side->factor.average(), side->solved, side->eigenvalues});
    }
    if (!eigen_) add_inverses(state, inverses);
  }
  solve(systems);
  solve(inverses);
}

// (A + λI)⁻¹ and (G + λI)⁻¹; split: (A + π√λ I)⁻¹ and (G + √λ/π I)⁻¹ with π² = (tr A/dim A)/(tr G/dim G)
void Kfac::add_inverses(Layer& state, std::vector<DampedInverse>& problems) const {
  const std::vector<double> a = state.a.factor.mean_diagonal(), g = state.g.factor.mean_diagonal();
  for (std::int64_t group = 0; group < std::ssize(a); ++group) {
    const auto i = static_cast<std::size_t>(group);
    const double pi = std::clamp(std::sqrt(a[i] / g[i]), 1e-10, 1e10), root = std::sqrt(damping_);
    const auto of_group = [&](const Tensor& tensor) { return tensor.slice(group, group + 1); };
    problems.push_back({of_group(state.a.factor.average()), split_ ? pi * root : damping_, of_group(state.a.solved)});
    problems.push_back({of_group(state.g.factor.average()), split_ ? root / pi : damping_, of_group(state.g.solved)});
  }
}

void Kfac::update() {
  gradients_.gather();
  for (std::size_t i = 0; i < layers_.size(); ++i)
    if (gradients_.layers()[i].used()) precondition(layers_[i], gradients_.layers()[i]);
  // R = ν·R, ν = min(1, √(κ/(lr² Σ R·Grad))): over all layers together
  if (kl_clip_ > 0) kernels::kl_clip(gradients_.directions(), gradients_.gradients(), rate_, kl_clip_);
  gradients_.scatter();
  update_all(kernels::sgd_step, step_, buffer_);  // momentum and weight decay, of all parameters
}

// R = Q_G [(Q_Gᵀ Grad Q_A) / (d_G d_Aᵀ + λ)] Q_Aᵀ; or G⁻¹ Grad A⁻¹ (Eq. (2))
void Kfac::precondition(Layer& state, LayerGradients::Layer& l) const {
  Tensor t = Tensor::empty(l.gradient.shape(), l.gradient.dtype(), l.gradient.device());
  const auto product = [](Transpose ta, Transpose tb, const Tensor& a, const Tensor& b, Tensor& c) {
    kernels::matrix_product(ta, tb, a, b, c, Write::overwrite);
  };
  product(eigen_ ? Transpose::yes : Transpose::no, Transpose::no, state.g.solved, l.gradient, t);
  product(Transpose::no, Transpose::no, t, state.a.solved, l.direction);
  if (!eigen_) return;
  kernels::divide_by_kronecker(l.direction, state.g.eigenvalues, state.a.eigenvalues, damping_);
  product(Transpose::no, Transpose::no, state.g.solved, l.direction, t);
  product(Transpose::no, Transpose::yes, t, state.a.solved, l.direction);
}

std::vector<NamedTensor> Kfac::state() {
  std::vector<NamedTensor> state;
  if (buffer_) state.push_back({"momentum", buffer_});
  for (Layer& layer : layers_) {
    for (auto [side, what] : {std::pair(&layer.a, "input"), std::pair(&layer.g, "output_gradient")}) {
      const std::string name = std::string(what) + "_covariance." + layer.layer->name();
      state.push_back({name, side->factor.average()});
      state.push_back({name + (eigen_ ? ".eigenvectors" : ".inverse"), side->solved});
      if (eigen_) state.push_back({name + ".eigenvalues", side->eigenvalues});
    }
  }
  return state;
}

}  // namespace actgrad
