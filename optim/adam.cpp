#include "optim/adam.h"

#include <cmath>

namespace actgrad {

OptionTable Adam::options(Decay decay) {
  const std::string paper = "AdaAct paper, Appendix E", belief = "AdaBelief's published runs, which the paper follows";
  const bool l2 = decay == Decay::l2;
  return {
      Option{"lr", 1e-3, "learning rate"}.at_least(0).from(paper),
      Option{"beta1", 0.9, "decay of the moving average of the gradient"}.range_open_high(0, 1).from(paper),
      Option{"beta2", 0.999, "decay of the moving average of its square"}.range_open_high(0, 1).from(paper),
      Option{"eps", 1e-8, "added to the root, outside of it"}.at_least(0).from(belief),
      Option{"weight-decay", l2 ? 5e-4 : 1e-2,
             l2 ? "L2: added to the gradient" : "decoupled: shrinks parameters by lr·wd"}
          .at_least(0)
          .from(belief),
  };
}

Adam::Adam(Model& model, const Options& options, Decay decay)
    : Optimizer(model, options),
      beta1_(options.number("beta1")),
      beta2_(options.number("beta2")),
      eps_(options.number("eps")),
      weight_decay_(options.number("weight-decay")),
      decay_(decay),
      step_(parameters_.device(), decay_1d_),
      m_(parameters_.zeros_like()),
      v_(parameters_.zeros_like()) {}

void Adam::prepare(double lr) {
  Optimizer::prepare(lr);
  const double t = static_cast<double>(steps_);
  step_.set({lr, beta1_, beta2_, eps_, weight_decay_, decay_ == Decay::decoupled, 1 - std::pow(beta1_, t),
             1 - std::pow(beta2_, t)});
}

//   Adam: g += wd·p;   AdamW: p *= 1 − lr·wd
//   m = β₁m + (1−β₁)g,  v = β₂v + (1−β₂)g²
//   p −= lr · m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε)
void Adam::update() {
  update_all(kernels::adam_step, step_, m_, v_);
}

}  // namespace actgrad
