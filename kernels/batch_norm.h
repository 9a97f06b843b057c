// Batch normalisation (Ioffe and Szegedy 2015) over all but the last dimension, fused with what follows it in a
// residual network: an optional addition and an optional ReLU, so that the activations cross memory once.
//
//   μ_c = mean of x[·, c],  σ²_c = biased variance of x[·, c]      (training: over the batch; evaluation: running
//   values) y = relu?( scale · (x − μ)/√(σ² + ε) + shift + residual? )
#pragma once

#include "core/tape.h"

namespace actgrad::kernels {

struct BatchNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;  // running = (1 − momentum)·running + momentum·batch; the variance enters unbiased
  bool relu = false;
};

// x, y, residual: (..., C), residual may be undefined. scale, shift, running_mean, running_variance, mean, inverse_std:
// (C). Updates the running values; writes the batch's mean and 1/√(σ² + ε) for the backward pass. Needs more than one
// row per channel.
void batch_norm_forward_training(const Tensor& x, const Tensor& residual, const Tensor& scale, const Tensor& shift,
                                 Tensor& running_mean, Tensor& running_variance, const BatchNormOptions& options,
                                 Tensor& y, Tensor& mean, Tensor& inverse_std);

void batch_norm_forward_evaluation(const Tensor& x, const Tensor& residual, const Tensor& scale, const Tensor& shift,
                                   const Tensor& running_mean, const Tensor& running_variance,
                                   const BatchNormOptions& options, Tensor& y);

// Where backward results go; an undefined tensor means "not wanted". When it is overwritten, dresidual, or else dx, may
// be dy itself, which saves memory and its traffic.
struct BatchNormGradients {
  Tensor dx;
  Write dx_mode = Write::overwrite;
  Tensor dresidual;
  Write dresidual_mode = Write::overwrite;
  Tensor dscale;
  Write dscale_mode = Write::overwrite;
  Tensor dshift;
  Write dshift_mode = Write::overwrite;
};

// The backward pass of batch_norm_forward_training. y is needed only with relu and a residual (it holds the sign that
// x alone does not tell); has_residual says which.
void batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& y, bool has_residual, const Tensor& scale,
                         const Tensor& shift, const Tensor& mean, const Tensor& inverse_std,
                         const BatchNormOptions& options, BatchNormGradients gradients);

// The backward pass of batch_norm_forward_evaluation: the statistics are constants.
void batch_norm_backward_evaluation(const Tensor& dy, const Tensor& x, const Tensor& y, const Tensor& scale,
                                    const Tensor& running_mean, const Tensor& running_variance,
                                    const BatchNormOptions& options, BatchNormGradients gradients);

}  // namespace actgrad::kernels
