#include "optim/sgd.h"

namespace actgrad {

OptionTable Sgd::options() {
  const std::string paper = "AdaAct paper, Appendix E", belief = "AdaBelief's published runs, which the paper follows";
  return {
      Option{"lr", 0.1, "learning rate"}.at_least(0).from(paper),
      Option{"momentum", 0.9, "share of the previous update that is kept"}.range_open_high(0, 1).from(paper),
      Option{"dampening", 0.0, "1 - weight of the gradient in the momentum"}.range(0, 1).from("PyTorch"),
      Option{"nesterov", false, "look ahead along the momentum"}.from("published code, CIFAR-10"),
      Option{"weight-decay", 5e-4, "L2: added to the gradient"}.at_least(0).from(belief),
  };
}

Sgd::Sgd(Model& model, const Options& options)
    : Optimizer(model, options),
      momentum_(options.number("momentum")),
      dampening_(options.number("dampening")),
      weight_decay_(options.number("weight-decay")),
      nesterov_(options.flag("nesterov")),
      step_(parameters_.device(), decay_1d_) {
  if (nesterov_ && (momentum_ == 0 || dampening_ != 0))
    throw UserError("--nesterov needs a momentum above 0 and no dampening");
  if (momentum_ != 0) buffer_ = parameters_.zeros_like();
}

void Sgd::prepare(double lr) {
  Optimizer::prepare(lr);
  step_.set({lr, momentum_, dampening_, weight_decay_, nesterov_, /*first=*/steps_ == 1});
}

//   d = g + wd·p
//   buffer = d at the first step, then momentum·buffer + (1 − dampening)·d
//   p −= lr·buffer      (Nesterov: lr·(d + momentum·buffer); without momentum: lr·d)
void Sgd::update() {
  update_all(kernels::sgd_step, step_, buffer_);
}

std::vector<NamedTensor> Sgd::state() {
  if (!buffer_) return {};
  return {{"momentum", buffer_}};
}

}  // namespace actgrad
