// The two ways to patch_covariance on the CPU. Both take every geometry; covariance.cpp checks the arguments and
// chooses.
#pragma once

#include "kernels/conv2d.h"

namespace actgrad::kernels {

// The im2col matrix, some lines at a time, and all its products (covariance.cpp).
void covariance_by_tiles(const Conv2dGeometry& g, const Tensor& x, bool ones, Tensor& result);

// Products of the image with its shifted self (covariance_by_shifts.cpp). Stride 1.
void covariance_by_shifts(const Conv2dGeometry& g, const Tensor& x, bool ones, Tensor& result);
// Whether that is the faster way.
bool shifts_pay(const Conv2dGeometry& g, DType dtype);

}  // namespace actgrad::kernels
