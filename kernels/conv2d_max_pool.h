// A convolution followed by max pooling. Backwards, the pooled gradient dp (batch, PH, PW, O) goes to one winner per
// window, so the gradient dy of the convolution's output is mostly zeros, which need not be written or multiplied:
//
//   dw[o, ky, kx, i] = Σ_{n, py, px} dp[n, py, px, o] · x[n, wy + ky − p, wx + kx − p, i]
//
// with (wy, wx) the position in y of the winner of window (n, py, px, o), and p the convolution's padding.
#pragma once

#include "kernels/conv2d.h"
#include "kernels/pooling.h"

namespace actgrad::kernels {

// max_pool_forward (pooling.h) of conv2d_forward's result, which is not kept: p (batch, PH, PW, O), and argmax or
// undefined.
void conv2d_max_pool_forward(const Conv2dGeometry& g, const PoolGeometry& pool, const Tensor& x, const Tensor& weight,
                             const Tensor& bias, Tensor& p, Tensor& argmax, ConvEngine engine);

// Stride 1, dilation 1, one group and a kernel of at most 7 rows; windows that are at least two pixels apart.
bool max_pool_backward_weight_supports(const Conv2dGeometry& g, const PoolGeometry& pool);

// argmax: max_pool_forward's, of the shape of dp.
void max_pool_backward_weight(const Conv2dGeometry& g, const PoolGeometry& pool, const Tensor& dp, const Tensor& argmax,
                              const Tensor& x, Tensor& dweight, Write mode);

}  // namespace actgrad::kernels
