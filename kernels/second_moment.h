// The second moment of a weighted layer's inputs: AdaAct's statistic (Algorithm 1; algorithm line 5 averages it over
// time).
//
//   A_j = mean over rows r of a_{r,j}²
//
// Linear: the rows are the samples. Convolution: the rows are the im2col patches of all output positions, zero padding
// included, and the mean is over batch · OH · OW rows.
#pragma once

#include "kernels/conv2d.h"

namespace actgrad::kernels {

// x (rows, d) → result (1, d). The first moment is the same without squares: the mean of a_{r,j} (Eva's statistic).
void second_moment(const Tensor& x, Tensor& result);
void first_moment(const Tensor& x, Tensor& result);

// x (N, H, W, C) → result (groups, KH·KW·C/groups), columns in (ky, kx, c) order, group g's input channels in row g.
// Without im2col: q[y, x, c] = Σ_n x[n, y, x, c]² once, then for each (ky, kx) the sum of a shifted, strided window of
// q.
void patch_second_moment(const Conv2dGeometry& g, const Tensor& x, Tensor& result);
void patch_first_moment(const Conv2dGeometry& g, const Tensor& x, Tensor& result);

}  // namespace actgrad::kernels
