#pragma once

#include "optim/optimizer.h"

namespace actgrad {

// Stochastic gradient descent with momentum (Polyak 1964), Nesterov's form, and L2 weight decay, as PyTorch defines it.
class Sgd final : public Optimizer {
 public:
  static OptionTable options();
  Sgd(Model& model, const Options& options);
  void step(double lr) override;
  std::vector<NamedTensor> state() override;

 private:
  double momentum_, dampening_, weight_decay_;
  bool nesterov_;
  Tensor buffer_;  // the momentum of every parameter; undefined without momentum
};

}  // namespace actgrad
