// The learned optimizers that HyperAdam's paper compares with: two layers of LSTM and a linear one, which turn two
// features of each gradient into its step.
#pragma once

#include "optim/hyperadam/learned_rule.h"

namespace actgrad {

class RecurrentRule : public LearnedRule {
 protected:
  static constexpr std::int64_t hidden = 20;
  void add_layers(std::int64_t features);
  // x (features, n) → (1, n). The state's first four tensors are c and h of both layers.
  Variable run_layers(Pass& pass, const Variable& x, RuleState& state) const;

 private:
  LstmLayer first_{}, second_{};
  Parameter *output_weight_, *output_bias_;
};

// RNNprop ("Learning gradient descent: better generalization and longer horizons", Lv, Jiang and Li 2017), as
// HyperAdam's code has it: g/√v̂ and m̂/√v̂ → linear, ELU → LSTM → LSTM → linear → d = 0.1·tanh.
class RnnPropRule final : public RecurrentRule {
 public:
  static OptionTable options();
  RnnPropRule(const Options& options, DType dtype, std::uint64_t seed, Device device);
  Variable step(Pass& pass, const Tensor& g, RuleState& state) const override;
  std::vector<std::int64_t> state_features() const override { return {hidden, hidden, hidden, hidden, 1, 1}; }

 private:
  double beta_;
  Parameter *preprocess_weight_, *preprocess_bias_;
};

// DMoptimizer ("Learning to learn by gradient descent by gradient descent", Andrychowicz et al. 2016): the gradient's
// logarithm and sign → LSTM → LSTM → linear → w ← w + 0.1·output.
class DmRule final : public RecurrentRule {
 public:
  static OptionTable options() { return {}; }
  DmRule(const Options& options, DType dtype, std::uint64_t seed, Device device);
  Variable step(Pass& pass, const Tensor& g, RuleState& state) const override;
  std::vector<std::int64_t> state_features() const override { return {hidden, hidden, hidden, hidden}; }
};

}  // namespace actgrad
