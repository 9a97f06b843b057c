#pragma once

#include "kernels/optimizer_steps.h"
#include "optim/optimizer.h"

namespace actgrad {

// Stochastic gradient descent with momentum (Polyak 1964), Nesterov's form, and L2 weight decay, as PyTorch defines it.
class Sgd final : public Optimizer {
 public:
  static OptionTable options();
  Sgd(Model& model, const Options& options);
  void prepare(double lr) override;
  void update() override;
  bool recordable() const override { return true; }
  std::vector<NamedTensor> state() override;

 private:
  double momentum_, dampening_, weight_decay_;
  bool nesterov_;
  DecayStep<kernels::SgdStep> step_;
  Tensor buffer_;  // the momentum of every parameter; undefined without momentum
};

}  // namespace actgrad
