// HyperAdam's candidates: Adam with decay rates that differ from coordinate to coordinate and from step to step (Wang
// et al. 2019, AdamCell).
#pragma once

#include "core/tape.h"

namespace actgrad::kernels {

// Where ε stands in a candidate's denominator.
enum class EpsilonPlace { inside, outside };  // √(ṽ + ε), √ṽ + ε

// The moving averages of J candidates, each (J, n): of the gradient and of its square, and how much of each average is
// real: β̂ = 1 − Πβ of all steps so far, γ̂ likewise. Adam's bias corrections 1 − βᵗ are the case of constant rates.
struct AdamAverages {
  Tensor m, v, beta_hat, gamma_hat;
};

// decay: (2J, n), the rates' logits: J rows of β, J of γ. g: (n).
//   β, γ = σ(decay);  m = β·m + (1−β)·g;  v = γ·v + (1−γ)·g²;  β̂ = β·β̂ + (1−β);  γ̂ = γ·γ̂ + (1−γ)
//   candidate = m̃/√(ṽ + ε), m̃ = m/(β̂ + ε), ṽ = v/(γ̂ + ε), ε = 1e-24
void adam_candidates_forward(const Tensor& decay, const Tensor& g, const AdamAverages& before, EpsilonPlace place,
                             AdamAverages& after, Tensor& candidates);

// From the gradients of the averages after the step and of the candidates (undefined: 0) to those of the logits and of
// the averages before it (undefined: not wanted). g counts as a constant.
struct AdamAverageTargets {
  GradientTarget m, v, beta_hat, gamma_hat;
};
void adam_candidates_backward(const Tensor& decay, const Tensor& g, const AdamAverages& before,
                              const AdamAverages& after, EpsilonPlace place, const AdamAverages& dafter,
                              const Tensor& dcandidates, GradientTarget ddecay, const AdamAverageTargets& dbefore);

}  // namespace actgrad::kernels
