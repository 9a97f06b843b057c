#include "optim/adan.h"

#include <cmath>

#include "optim/gradients.h"

namespace actgrad {

OptionTable Adan::options() {
  const std::string paper = "AdaAct paper, Appendix E", code = "Adan's published code";
  return {
      Option{"lr", 0.01, "learning rate"}.at_least(0).from(paper),
      Option{"beta1", 0.98, "decay of the moving average of the gradient"}.range_open_high(0, 1).from(paper),
      Option{"beta2", 0.92, "decay of the moving average of the gradient's change"}.range_open_high(0, 1).from(paper),
      Option{"beta3", 0.99, "decay of the moving average of the square"}.range_open_high(0, 1).from(paper),
      Option{"eps", 1e-8, "added to the root, outside of it"}.at_least(0).from(code),
      Option{"weight-decay", 0.02, "proximal or decoupled: shrinks parameters by about lr·wd"}.at_least(0).from(
          "Adan's README; AdaAct's paper does not say"),
      Option{"max-grad-norm", 0.0, "largest norm of all gradients together; 0: any"}.at_least(0).from(code),
      Option{"proximal", true, "divide by 1 + lr·wd behind the step; off: multiply by 1 − lr·wd before it"}.from(code),
      Option{"restart-every", std::int64_t{0}, "forget all moving averages every N steps; 0: never"}.at_least(0).from(
          code),
  };
}

Adan::Adan(Model& model, const Options& options)
    : Optimizer(model, options),
      beta1_(options.number("beta1")),
      beta2_(options.number("beta2")),
      beta3_(options.number("beta3")),
      eps_(options.number("eps")),
      weight_decay_(options.number("weight-decay")),
      max_grad_norm_(options.number("max-grad-norm")),
      proximal_(options.flag("proximal")),
      restart_every_(options.integer("restart-every")),
      step_(parameters_.device(), decay_1d_),
      m_(parameters_.zeros_like()),
      v_(parameters_.zeros_like()),
      n_(parameters_.zeros_like()),
      previous_(parameters_.zeros_like()) {}

// A restart (the paper's "restart condition", here every N steps) begins to count again.
void Adan::prepare(double lr) {
  Optimizer::prepare(lr);
  const std::int64_t since_restart = restart_every_ == 0 ? steps_ : (steps_ - 1) % restart_every_ + 1;
  const double t = static_cast<double>(since_restart);
  step_.set({.lr = lr,
             .beta1 = beta1_,
             .beta2 = beta2_,
             .beta3 = beta3_,
             .eps = eps_,
             .weight_decay = weight_decay_,
             .proximal = proximal_,
             .first = since_restart == 1,
             .correction1 = 1 - std::pow(beta1_, t),
             .correction2 = 1 - std::pow(beta2_, t),
             .correction3 = 1 - std::pow(beta3_, t)});
}

// The code's β is 1 − the paper's. Algorithm 1, with bias corrections:
//   g *= min(1, max-grad-norm / (‖g‖ + ε))
//   d = g − g of the step before (at the first step and after a restart: 0)
//   m = β₁m + (1−β₁)g
//   v = β₂v + (1−β₂)d
//   n = β₃n + (1−β₃)(g + β₂d)²
//   u = (m/(1−β₁ᵗ) + β₂·v/(1−β₂ᵗ)) / (√(n/(1−β₃ᵗ)) + ε)
//   p = (p − lr·u) / (1 + lr·wd)         (not proximal: p = (1 − lr·wd)·p − lr·u)
void Adan::update() {
  if (max_grad_norm_ > 0) clip_gradients(parameters_, max_grad_norm_, eps_);
  update_all(kernels::adan_step, step_, m_, v_, n_, previous_);
}

}  // namespace actgrad
