#pragma once

#include "kernels/lamb.h"
#include "optim/optimizer.h"

namespace actgrad {

// LAMB ("Large Batch Optimization for Deep Learning: Training BERT in 76 minutes", You et al. 2020), as timm defines
// it: Adam's direction, scaled for each parameter tensor so that the step is a share of the tensor's own norm.
class Lamb final : public Optimizer {
 public:
  static OptionTable options();
  Lamb(Model& model, const Options& options);
  void prepare(double lr) override;
  void update() override;
  bool recordable() const override { return true; }
  std::vector<NamedTensor> state() override { return {{"m", m_}, {"v", v_}}; }

 private:
  void find_tensors();

  double beta1_, beta2_, eps_, weight_decay_, max_grad_norm_, trust_max_;
  bool bias_correction_;
  StepValue<kernels::LambStep> step_;
  Tensor m_, v_;                  // moving averages of the gradient and of its square
  kernels::LambTensors tensors_;  // the parameters that have a gradient
};

}  // namespace actgrad
