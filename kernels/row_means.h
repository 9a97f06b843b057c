// Means of a weighted layer's inputs and output gradients: over the batch (Eva), or over each sample's positions
// (KFAC-K2, whose factors are the covariances of what comes out).
#pragma once

#include "kernels/conv2d.h"

namespace actgrad::kernels {

// x (…, d), all but the last dimension count as rows → result (d).
void mean_of_rows(const Tensor& x, Tensor& result);

// x (N, …, d): the mean over all dimensions between the first and the last → result (N, d), or (N, d + 1) with a last
// column of ones. An x of rank 2 is copied.
void position_means(const Tensor& x, bool ones, Tensor& result);

// x (N, H, W, C) → result (N, groups · n), n = KH·KW·C/groups (+ 1 with ones): the mean of the im2col patches over a
// sample's output positions, zero padding included. The groups' parts lie side by side, each in (ky, kx, c) order with
// its 1 behind it. Without im2col: sums of shifted windows.
void patch_means(const Conv2dGeometry& g, const Tensor& x, bool ones, Tensor& result);

}  // namespace actgrad::kernels
