#pragma once

#include "kernels/optimizer_steps.h"
#include "optim/optimizer.h"

namespace actgrad {

// Adan ("Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models", Xie et al. 2022), as its
// published code has it: Nesterov's momentum without a second gradient, from the difference of two successive
// gradients.
class Adan final : public Optimizer {
 public:
  static OptionTable options();
  Adan(Model& model, const Options& options);
  void prepare(double lr) override;
  void update() override;
  bool recordable() const override { return true; }
  std::vector<NamedTensor> state() override {
    return {{"m", m_}, {"v", v_}, {"n", n_}, {"previous_gradient", previous_}};
  }

 private:
  double beta1_, beta2_, beta3_, eps_, weight_decay_, max_grad_norm_;
  bool proximal_;
  std::int64_t restart_every_;
  DecayStep<kernels::AdanStep> step_;
  Tensor m_, v_, n_;  // moving averages of the gradient, of its change, and of the look-ahead gradient's square
  Tensor previous_;   // the last step's (clipped) gradient
};

}  // namespace actgrad
