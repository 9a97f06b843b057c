#pragma once

#include "kernels/pooling.h"
#include "layers/pass.h"

namespace actgrad {

// x (N, H, W, C) → (N, OH, OW, C); windows in kernels/pooling.h.
Variable max_pool2d(Pass& pass, const Variable& x, const kernels::PoolGeometry& geometry);
Variable avg_pool2d(Pass& pass, const Variable& x, const kernels::PoolGeometry& geometry);

// x (N, H, W, C) → (N, C): the mean over all positions.
Variable global_avg_pool(Pass& pass, const Variable& x);

}  // namespace actgrad
