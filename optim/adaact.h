#pragma once

#include "kernels/optimizer_steps.h"
#include "optim/batch_statistic.h"
#include "optim/optimizer.h"

namespace actgrad {

// AdaAct ("An Adaptive Method Stabilizing Activations for Enhanced Generalization", Algorithm 1): momentum, and one
// learning rate for each *input* of a layer, i.e. for each column of [W | b]: the smaller, the larger the input's
// second moment.
//
// State: the momentum, and one vector per weighted layer (Adam: two numbers per parameter). The vectors of all layers
// lie in one tensor, one behind the other, so that what is done to each of them is one kernel.
class AdaAct final : public Optimizer {
 public:
  static OptionTable options();
  AdaAct(Model& model, const Options& options);

  void on_input(const WeightedLayer& layer, const Tensor& x) override;
  void prepare(double lr) override;
  void end_passes() override;
  void update() override;
  bool recordable() const override { return true; }
  int kind() const override { return per_forward_ && steps_ == 1; }
  std::vector<NamedTensor> rates() override;
  std::vector<NamedTensor> state() override;

 private:
  struct Layer {
    WeightedLayer* layer;
    std::int64_t first;  // place of its first input in the vectors
    Tensor v;            // its part of V (groups, d)
    BatchStatistic a;    // its part of A: this step's second moment
  };
  kernels::AdaActStep numbers() const;  // of the step under way
  void move_average(Layer& state);
  void find_pieces();

  double beta1_, beta2_, eps_, weight_decay_, variance_min_, variance_max_, exponent_;
  bool per_forward_, momentum_others_;
  StepValue<kernels::AdaActStep> step_;
  std::vector<Layer> layers_;
  Tensor v_, a_;  // V, the moving average of the inputs' second moment, and A
  Tensor rates_;  // one per input; behind them that of the biases, whose input is always 1, hence V̂ = 1; and 1
  Tensor input_rates_, bias_rate_, one_;  // the parts
  Tensor v_bias_;                         // per forward: V of the biases' input
  Tensor m_;                      // M: the momentum of the weighted layers' parameters, laid out like the parameters
  kernels::AdaActPieces pieces_;  // which rates belong to which of the parameters that have a gradient
};

}  // namespace actgrad
