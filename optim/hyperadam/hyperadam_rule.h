// HyperAdam: "a learnable task-adaptive Adam for network training" (Wang, Sun, Sun and Xu, AAAI 2019).
#pragma once

#include "kernels/hyperadam.h"
#include "optim/hyperadam/learned_rule.h"

namespace actgrad {

// Every coordinate carries J candidates of Adam's direction, whose decay rates a small network chooses anew at each
// step, and moves by their weighted sum.
//
//   preprocessing   x = ELU(W ĝ + b),  ĝ = g/‖g‖                          ‖g‖ over the whole vector
//   StateCell       c, s = LSTM([x, s])
//   AdamCell        β, γ = σ(K [s̄, m̄] + b);  J candidates m̂               bars: each row divided by its norm
//   WeightCell      ρ = ELU(Q s + b);  d = Σ_j ρ_j m̂_j
//
// State: c, s, m, v, β̂, γ̂ (20, n) each.
class HyperAdamRule : public LearnedRule {
 public:
  static OptionTable options();
  HyperAdamRule(const Options& options, DType dtype, std::uint64_t seed, Device device);
  Variable step(Pass& pass, const Tensor& g, RuleState& state) const override;
  std::vector<std::int64_t> state_features() const override;

  // What is divided by its norm over all coordinates: the published code's s and m; the paper's m alone; its
  // follow-up's s, m and both inputs of the LSTM.
  enum class Normalise { code, paper, follow_up };

 protected:
  Variable preprocess(Pass& pass, const Tensor& g) const;
  // s, and the LSTM's state after the step in place of (c, s).
  Variable state_cell(Pass& pass, const Variable& x, Variable& c, Variable& s) const;
  Variable adam_cell(Pass& pass, const Variable& s, const Tensor& g, RuleState& state) const;  // the candidates
  Variable weight_cell(Pass& pass, const Variable& s) const;                                   // ρ

  std::int64_t candidates_, hidden_ = 20;
  bool lstm_, preprocessing_;
  Normalise normalise_;
  kernels::EpsilonPlace epsilon_;
  Parameter *preprocess_weight_ = nullptr, *preprocess_bias_ = nullptr;
  LstmLayer state_cell_{};
  Parameter *adam_state_, *adam_momentum_, *adam_bias_;
  Parameter *weight_weight_, *weight_bias_;
};

// The same with all cells in one function (kernels/hyperadam.h), several times as fast, for the published sizes;
// learning it is there for the CPU only. State: one tensor, in blocks of coordinates.
class FusedHyperAdamRule final : public HyperAdamRule {
 public:
  static bool supports(const Options& options);
  FusedHyperAdamRule(const Options& options, DType dtype, std::uint64_t seed, Device device);
  Variable step(Pass& pass, const Tensor& g, RuleState& state) const override;
  Tensor direction(const Tensor& g, RuleState& state) const override;
  bool recordable() const override { return true; }
  RuleState initial_state(std::int64_t n) const override;

 private:
  kernels::HyperAdamWeights collect(Tensor (*of)(const Parameter&)) const;
  kernels::HyperAdamReading reading_;
};

}  // namespace actgrad
