#include "layers/functions/adam_candidates.h"

namespace actgrad {

AdamCandidates adam_candidates(Pass& pass, const Variable& decay, const Tensor& g, const AdamCandidates& before,
                               kernels::EpsilonPlace place) {
  const kernels::AdamAverages from = {before.m.value(), before.v.value(), before.beta_hat.value(),
                                      before.gamma_hat.value()};
  const auto empty = [&] { return Tensor::empty(from.m.shape(), from.m.dtype(), from.m.device()); };
  kernels::AdamAverages to = {empty(), empty(), empty(), empty()};
  Tensor candidates = empty();
  kernels::adam_candidates_forward(decay.value(), g, from, place, to, candidates);
  if (!pass.records(decay, before.m, before.v, before.beta_hat, before.gamma_hat))
    return {Variable(to.m), Variable(to.v), Variable(to.beta_hat), Variable(to.gamma_hat), Variable(candidates)};
  const auto results = pass.tape->record(
      std::vector<Tensor>{to.m, to.v, to.beta_hat, to.gamma_hat, candidates},
      [from, to, decay = decay.value(), g, place, ddecay = decay.gradient(), dm = before.m.gradient(),
       dv = before.v.gradient(), dbeta = before.beta_hat.gradient(),
       dgamma = before.gamma_hat.gradient()](const std::vector<Tensor>& d) {
        const auto target = [](const Gradient& gradient) {
          return gradient.wanted() ? gradient.target() : GradientTarget();
        };
        kernels::adam_candidates_backward(decay, g, from, to, place, {d[0], d[1], d[2], d[3]}, d[4], target(ddecay),
                                          {target(dm), target(dv), target(dbeta), target(dgamma)});
      });
  return {results[0], results[1], results[2], results[3], results[4]};
}

}  // namespace actgrad
