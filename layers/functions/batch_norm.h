#pragma once

#include "kernels/batch_norm.h"
#include "layers/pass.h"

namespace actgrad {

// relu?( scale·(x − μ)/√(σ² + ε) + shift + residual? ) over all but the last dimension; formula in
// kernels/batch_norm.h. In training mode μ and σ² are the batch's, and the running values (C) are updated; in
// evaluation they are the running values. residual: same shape as x, or undefined.
Variable batch_norm(Pass& pass, const Variable& x, const Variable& residual, const Variable& scale,
                    const Variable& shift, Tensor& running_mean, Tensor& running_variance,
                    const kernels::BatchNormOptions& options);

}  // namespace actgrad
