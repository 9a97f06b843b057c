// Second-moment matrices of a weighted layer's inputs and output gradients: the factors of KFAC (AdaAct paper, Eq. (2))
// and FOOF (Eq. (3)), the activation covariance of Eq. (4). Uncentred, as there.
//
//   A = mean over rows r of ã_r ã_rᵀ,   ã = a, or [a ; 1] for a layer with a bias (`ones`)
//
// Every matrix is symmetric, and written whole.
#pragma once

#include "kernels/conv2d.h"

namespace actgrad::kernels {

// x (…, d), all but the last dimension count as rows → result (1, n, n), n = d, or d + 1 with ones.
void covariance(const Tensor& x, bool ones, Tensor& result);

// x (N, H, W, C) → result (groups, n, n), n = KH·KW·C/groups (+ 1): the rows are the im2col patches of all output
// positions, zero padding included, columns in (ky, kx, c) order; the mean is over N · OH · OW rows.
void patch_covariance(const Conv2dGeometry& g, const Tensor& x, bool ones, Tensor& result);

// dy (…, out) → result (groups, out/groups, out/groups): one matrix for each group of consecutive outputs.
void group_covariance(const Tensor& dy, std::int64_t groups, Tensor& result);

}  // namespace actgrad::kernels
