#include "optim/sam.h"

#include "kernels/norms.h"
#include "optim/gradients.h"

namespace actgrad {

OptionTable Sam::options() {
  const std::string paper = "SAM paper";
  return {
      Option{"rho", 0.05, "how far uphill the gradient is taken"}.at_least(0).from(paper),
      Option{"base-optim", std::string("sgd"), "the optimizer that makes the step, with its options"}.from(paper),
  };
}

Sam::Sam(Model& model, const Options& options, std::unique_ptr<Optimizer> base)
    : Optimizer(model, options),
      rho_(options.number("rho")),
      base_(std::move(base)),
      start_(parameters_.zeros_like()) {}

void Sam::prepare(double lr) {
  base_->set_steps(steps_);
  Optimizer::prepare(lr);
  base_->prepare(lr);
}

void Sam::begin_pass(int pass) {
  uphill_ = pass > 0;
  if (pass == 1) climb();
  if (uphill_) base_->begin_pass(pass - 1);
}

// p = p + ρ·g/(‖g‖ + 1e-12), the norm over all parameters that have a gradient
void Sam::climb() {
  start_.copy_from(parameters_.values());
  const Tensor norm = squared_gradient_norm(parameters_);
  for (const Span& span : parameters_.spans_with_gradient()) {
    Tensor p = parameters_.values().slice(span.begin, span.end);
    kernels::add_scaled_by_norm(p, parameters_.gradients().slice(span.begin, span.end), norm, rho_);
  }
}

// Back to where the step began: from there the base optimizer goes.
void Sam::end_passes() {
  if (uphill_) {
    Tensor p = parameters_.values();
    p.copy_from(start_);
  }
  base_->end_passes();
}

void Sam::on_input(const WeightedLayer& layer, const Tensor& x) {
  if (uphill_) base_->on_input(layer, x);
}

}  // namespace actgrad
