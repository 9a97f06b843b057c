#pragma once

#include "kernels/natural_gradient.h"
#include "kernels/optimizer_steps.h"
#include "optim/batch_statistic.h"
#include "optim/layer_gradients.h"
#include "optim/optimizer.h"

namespace actgrad {

// Eva (Zhang et al. 2023): KFAC with factors of rank one, the outer products of the mean input and of the mean output
// gradient, so that the inverse is a formula.
//
// State: the momentum; per weighted layer two vectors, of its inputs and of its outputs.
class Eva final : public Optimizer {
 public:
  static OptionTable options();
  Eva(Model& model, const Options& options);

  void on_input(const WeightedLayer& layer, const Tensor& x) override;
  bool wants_output_gradients() const override { return true; }
  void on_output_gradient(const WeightedLayer& layer, const Tensor& dy) override;
  void prepare(double lr) override;
  void update() override;
  bool recordable() const override { return true; }
  int kind() const override { return steps_ == 1; }  // the first statistic takes the place of the averages
  std::vector<NamedTensor> state() override;

 private:
  struct Layer {
    const WeightedLayer* layer;
    BatchStatistic batch_a, batch_b;
    Tensor a, b;             // (groups, inputs), (groups, outputs/groups)
    Tensor ones, augmented;  // of the bias, if there is one; [a ; 1]
  };

  double momentum_, weight_decay_, damping_, kl_clip_, keep_;
  kernels::RankOne form_;
  StepValue<double> rate_;
  DecayStep<kernels::SgdStep> step_;
  Tensor buffer_;  // the momentum of every parameter; undefined without momentum
  LayerGradients gradients_;
  std::vector<Layer> layers_;
};

}  // namespace actgrad
