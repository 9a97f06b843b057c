// The ways to patch_covariance on the CPU; covariance.cpp checks the arguments and chooses.
#pragma once

#include "kernels/conv2d.h"

namespace actgrad::kernels {

// The im2col matrix, some lines at a time, and all its products (covariance.cpp). Every geometry.
void covariance_by_tiles(const Conv2dGeometry& g, const Tensor& x, bool ones, Tensor& result);

// Products of the image with its shifted self (covariance_by_shifts.cpp). Stride 1.
void covariance_by_shifts(const Conv2dGeometry& g, const Tensor& x, bool ones, Tensor& result);
// Whether that is the fastest way.
bool shifts_pay(const Conv2dGeometry& g, DType dtype);

// Products of pixels with windows of lines (covariance_by_lines.cpp). Stride and dilation 1.
void covariance_by_lines(const Conv2dGeometry& g, const Tensor& x, bool ones, Tensor& result);
// Whether that is faster than by tiles.
bool lines_pay(const Conv2dGeometry& g, DType dtype);

// The last row and column of the result when the patches have a one at their end: their means, and one.
void write_means(const Conv2dGeometry& g, const Tensor& x, Tensor& result);

}  // namespace actgrad::kernels
