#pragma once

#include "kernels/optimizer_steps.h"
#include "optim/optimizer.h"

namespace actgrad {

// Adam (Kingma and Ba 2015) with L2 weight decay, and AdamW (Loshchilov and Hutter 2019) with decoupled weight decay,
// as PyTorch defines them.
class Adam final : public Optimizer {
 public:
  enum class Decay { l2, decoupled };
  static OptionTable options(Decay decay);
  Adam(Model& model, const Options& options, Decay decay);
  void prepare(double lr) override;
  void update() override;
  bool recordable() const override { return true; }
  std::vector<NamedTensor> state() override { return {{"m", m_}, {"v", v_}}; }

 private:
  double beta1_, beta2_, eps_, weight_decay_;
  Decay decay_;
  DecayStep<kernels::AdamStep> step_;
  Tensor m_, v_;  // moving averages of the gradient and of its square
};

}  // namespace actgrad
