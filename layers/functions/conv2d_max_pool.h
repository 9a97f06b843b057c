#pragma once

#include "kernels/pooling.h"
#include "layers/functions/conv2d.h"

namespace actgrad {

// max_pool2d(conv2d(x, weight, bias)) as one function, which keeps neither the convolution's output nor, where only the
// weight's gradient is wanted, writes that output's: see kernels/conv2d_max_pool.h.
Variable conv2d_max_pool(Pass& pass, const Variable& x, const Variable& weight, const Variable& bias,
                         const Conv2dOptions& options, const kernels::PoolGeometry& pool);

}  // namespace actgrad
