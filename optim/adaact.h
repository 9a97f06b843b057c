#pragma once

#include "kernels/optimizer_steps.h"
#include "optim/batch_statistic.h"
#include "optim/optimizer.h"

namespace actgrad {

// AdaAct ("An Adaptive Method Stabilizing Activations for Enhanced Generalization", Algorithm 1): momentum, and one
// learning rate for each *input* of a layer, i.e. for each column of [W | b]: the smaller, the larger the input's
// second moment.
//
// State: the momentum, and one vector per weighted layer (Adam: two numbers per parameter).
class AdaAct final : public Optimizer {
 public:
  static OptionTable options();
  AdaAct(Model& model, const Options& options);

  void on_input(const WeightedLayer& layer, const Tensor& x) override;
  void prepare(double lr) override;
  void update() override;
  bool recordable() const override { return true; }
  std::vector<NamedTensor> state() override;

 private:
  struct Layer {
    WeightedLayer* layer;
    Tensor v;  // V (groups, d): moving average of the inputs' second moment. The bias column's V̂ is 1 exactly.
    BatchStatistic a;  // A: this step's second moment
  };
  void update_layer(Layer& state);
  void update_matrices(const Parameter& parameter, const Shape& matrices, const Tensor& rate);
  void update_plain(const Parameter& parameter);

  double beta1_, beta2_, eps_, weight_decay_, variance_min_, variance_max_;
  StepValue<kernels::AdaActStep> step_;
  std::vector<Layer> layers_;
  Tensor m_;          // M: the momentum of the weighted layers' parameters, laid out like the parameters
  Tensor bias_rate_;  // (1, 1): the rate of the column whose input is always 1
};

}  // namespace actgrad
