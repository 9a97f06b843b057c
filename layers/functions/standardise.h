#pragma once

#include "layers/pass.h"

namespace actgrad {

// (x − μ)/√(σ² + ε) with the mean and the variance of each element over the batch, the leading dimension: batch
// normalisation that pools no positions, has nothing to learn and keeps no running averages; in evaluation the same.
// x (N, …), N > 1.
Variable standardise_over_batch(Pass& pass, const Variable& x, double eps);

}  // namespace actgrad
