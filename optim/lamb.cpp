#include "optim/lamb.h"

#include <cmath>
#include <limits>

#include "optim/gradients.h"

namespace actgrad {

OptionTable Lamb::options() {
  const std::string timm = "timm";
  return {
      Option{"lr", 1e-3, "learning rate"}.at_least(0).from(timm),
      Option{"beta1", 0.9, "decay of the moving average of the gradient"}.range_open_high(0, 1).from(timm),
      Option{"beta2", 0.999, "decay of the moving average of its square"}.range_open_high(0, 1).from(timm),
      Option{"eps", 1e-6, "added to the root, outside of it"}.at_least(0).from(timm),
      Option{"weight-decay", 0.01, "a part of the direction that the trust ratio scales"}.at_least(0).from(timm),
      Option{"max-grad-norm", 1.0, "largest norm of all gradients together; 0: any"}.at_least(0).from(timm),
      Option{"trust-max", 0.0, "upper bound of the trust ratio; 0: none"}.at_least(0).from(timm),
      Option{"bias-correction", true, "divide the moving averages by 1 − βᵗ"}.from(timm),
  };
}

Lamb::Lamb(Model& model, const Options& options)
    : Optimizer(model, options),
      beta1_(options.number("beta1")),
      beta2_(options.number("beta2")),
      eps_(options.number("eps")),
      weight_decay_(options.number("weight-decay")),
      max_grad_norm_(options.number("max-grad-norm")),
      trust_max_(options.number("trust-max")),
      bias_correction_(options.flag("bias-correction")),
      step_(parameters_.device()),
      m_(parameters_.zeros_like()),
      v_(parameters_.zeros_like()) {
  if (trust_max_ == 0) trust_max_ = std::numeric_limits<double>::infinity();
}

void Lamb::prepare(double lr) {
  Optimizer::prepare(lr);
  const double t = static_cast<double>(steps_);
  step_.set({.lr = lr,
             .beta1 = beta1_,
             .beta2 = beta2_,
             .eps = eps_,
             .weight_decay = weight_decay_,
             .correction1 = bias_correction_ ? 1 - std::pow(beta1_, t) : 1,
             .correction2 = bias_correction_ ? 1 - std::pow(beta2_, t) : 1,
             .trust_max = trust_max_});
}

//   g *= min(1, max-grad-norm / ‖g‖), ‖g‖ the norm of all gradients together
//   m = β₁m + (1−β₁)g,  v = β₂v + (1−β₂)g²
//   u = m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε) + wd·p
//   r = ‖p‖/‖u‖ of each parameter tensor (1 if either is 0), at most trust-max
//   p −= lr·r·u
// A parameter without weight decay is not scaled either: r = 1.
void Lamb::update() {
  if (max_grad_norm_ > 0) clip_gradients(parameters_, max_grad_norm_, /*eps=*/0);
  find_tensors();
  Tensor p = parameters_.values();
  const Tensor ratios = kernels::lamb_moments(p, parameters_.gradients(), m_, v_, tensors_, step_);
  kernels::lamb_step(p, m_, v_, tensors_, ratios, step_);
}

void Lamb::find_tensors() {
  std::vector<kernels::LambTensor> tensors;
  for (const Parameter* parameter : parameters_.list())
    if (parameter->variable.has_grad())
      tensors.push_back(
          {parameter->offset, parameter->offset + parameter->numel(), weight_decay_ != 0 && decays(*parameter)});
  if (tensors != tensors_.list()) tensors_ = kernels::LambTensors(tensors, parameters_.device());
}

}  // namespace actgrad
