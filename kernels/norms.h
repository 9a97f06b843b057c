// Norms that stay on the device, and what is done with them: nothing here is read back to the host, so recorded steps
// may use it. A squared norm is a tensor (1) of float64.
#pragma once

#include "core/tape.h"

namespace actgrad::kernels {

// result = or += Σ x², accumulated in double; the order of the sum depends on the number of elements alone (on the CPU:
// and on that of the threads). x: any shape.
void squared_norm(const Tensor& x, Tensor& result, Write mode);

// g *= min(1, max_norm / (√squared_norm + eps)); 1 where that divides by zero. A NaN or infinite norm shows in g.
void clip_by_norm(Tensor& g, const Tensor& squared_norm, double max_norm, double eps);

// p += rho · g / (√squared_norm + 1e-12): a step of length rho along a gradient with that norm (SAM's; Foret et al.
// 2021, equation 2, with the published code's 1e-12).
void add_scaled_by_norm(Tensor& p, const Tensor& g, const Tensor& squared_norm, double rho);

}  // namespace actgrad::kernels
