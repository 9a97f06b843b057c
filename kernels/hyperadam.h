// HyperAdam's step with all its cells at once (optim/hyperadam/hyperadam_rule.h has them one by one, and says what each
// is for): two passes over the coordinates, between which only norms are waited for.
//
//   first pass    x = ELU(w ĝ + b);  c, s = LSTM([x, s]);  Σ s², Σ m² of each feature
//   second pass   β, γ = σ(K [s̄, m̄] + b);  moving averages, candidates m̂;  d = Σ_j ELU(Q s + b)_j m̂_j
//
// 20 units and 20 candidates. What belongs to the coordinates lies in blocks of 64 (the last one filled up with zeros):
// (blocks, features, 64), so that a block's features are neighbours in memory.
#pragma once

#include "core/tape.h"
#include "kernels/adam_candidates.h"

namespace actgrad::kernels {

struct HyperAdamWeights {
  Tensor preprocess_weight, preprocess_bias;     // (20, 1), (20)
  Tensor state_input, state_hidden, state_bias;  // (80, 20), (80, 20), (80): gates input, candidate, forget, output
  Tensor adam_state, adam_momentum, adam_bias;   // (40, 20), (40, 20), (40): rates β, γ
  Tensor weight_weight, weight_bias;             // (20, 20), (20)
};

struct HyperAdamReading {
  bool normalise_state = true;  // s̄ = s/‖s‖; else s̄ = s
  EpsilonPlace epsilon = EpsilonPlace::inside;
};

inline constexpr std::int64_t hyperadam_features = 120;  // of the state: c, s, m, v, β̂, γ̂, 20 each
Shape hyperadam_state_shape(std::int64_t n);             // (blocks, 120, 64)

// What the way back needs and would take long to compute again.
struct HyperAdamTrace {
  Tensor values;  // (blocks, 180, 64): x, the four gates, tanh c, β, γ, ρ, 20 each
  Tensor scales;  // (41) float64: 1/‖g‖, those of s, those of m
};
HyperAdamTrace hyperadam_trace(std::int64_t n, DType dtype, Device device);

// g (n) → d (n). `before` and `after` may be the same tensor if there is no trace. Sums of blocks are added up in an
// order that depends on n and the number of threads.
void hyperadam_forward(const Tensor& g, const HyperAdamWeights& weights, const HyperAdamReading& reading,
                       const Tensor& before, Tensor& after, Tensor& d, HyperAdamTrace* trace);

// From the gradients of `after` and d to those of `before` (which may be the same tensor as dafter) and of the weights,
// which are added to. g counts as a constant.
void hyperadam_backward(const Tensor& g, const HyperAdamWeights& weights, const HyperAdamReading& reading,
                        const Tensor& before, const Tensor& after, const HyperAdamTrace& trace, const Tensor& dafter,
                        const Tensor& dd, Tensor& dbefore, HyperAdamWeights& dweights);

}  // namespace actgrad::kernels
