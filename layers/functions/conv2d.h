#pragma once

#include "layers/pass.h"

namespace actgrad {

struct Conv2dOptions {
  std::int64_t stride = 1, padding = 0, dilation = 1, groups = 1;
};

// x (N, H, W, C), weight (O, KH, KW, C/groups), bias (O) or undefined → (N, OH, OW, O); formula in kernels/conv2d.h.
Variable conv2d(Pass& pass, const Variable& x, const Variable& weight, const Variable& bias,
                const Conv2dOptions& options);

// The same call's geometry; throws InternalError when the shapes do not fit.
kernels::Conv2dGeometry conv2d_geometry(const Shape& x, const Shape& weight, const Conv2dOptions& options);

}  // namespace actgrad
