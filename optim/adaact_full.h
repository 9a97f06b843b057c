#pragma once

#include "kernels/optimizer_steps.h"
#include "optim/curvature_factor.h"
#include "optim/layer_gradients.h"
#include "optim/optimizer.h"

namespace actgrad {

// AdaAct with the whole covariance of a layer's inputs in the place of its diagonal (AdaAct paper, Figure 3), an option
// of AdaAct: update = M̂ (Â + εI)^(−1/2), Â the moving average of ã ãᵀ.
//
// State: two momenta's memory; per weighted layer two matrices of (inputs)².
class AdaActFull final : public Optimizer {
 public:
  AdaActFull(Model& model, const Options& options);  // AdaAct's

  void on_input(const WeightedLayer& layer, const Tensor& x) override;
  void prepare(double lr) override;
  void end_passes() override;
  bool refreshes() const override { return (steps_ - 1) % t_inv_ == 0; }
  void refresh() override;
  void update() override;
  bool recordable() const override { return true; }
  int kind() const override { return refreshes(); }
  std::int64_t period() const override { return t_inv_; }
  std::vector<NamedTensor> state() override;

 private:
  struct Layer {
    const WeightedLayer* layer;
    CurvatureFactor a;
    Tensor root;  // (Â + εI)^(−1/2), (groups, n, n)
  };
  void find_pieces();

  double beta1_, beta2_, eps_, weight_decay_;
  std::int64_t t_inv_;
  bool momentum_others_;
  StepValue<kernels::AdaActStep> step_;
  LayerGradients gradients_;
  std::vector<Layer> layers_;
  Tensor m_, directions_;  // laid out like the parameters
  Tensor one_;             // the rate of every column: the gradients are directions already
  kernels::AdaActPieces pieces_;
};

}  // namespace actgrad
