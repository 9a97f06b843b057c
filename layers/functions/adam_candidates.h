#pragma once

#include "kernels/adam_candidates.h"
#include "layers/pass.h"

namespace actgrad {

// Moving averages (J, n) of HyperAdam's candidates, and the candidates (kernels/adam_candidates.h).
struct AdamCandidates {
  Variable m, v, beta_hat, gamma_hat;
  Variable candidates;
};

// One step with the rates' logits `decay` (2J, n) and the gradient g (n), a constant.
AdamCandidates adam_candidates(Pass& pass, const Variable& decay, const Tensor& g, const AdamCandidates& before,
                               kernels::EpsilonPlace place);

}  // namespace actgrad
