// y = x Wᵀ + b.   x (rows, in), W (out, in), b (out) or undefined, y (rows, out). Leading dimensions of x count as
// rows.
#pragma once

#include "core/tape.h"

namespace actgrad::kernels {

void linear_forward(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y);
void linear_backward_input(const Tensor& dy, const Tensor& weight, Tensor& dx, Write mode);   // dx = dy W
void linear_backward_weight(const Tensor& dy, const Tensor& x, Tensor& dweight, Write mode);  // dW = dyᵀ x
void bias_forward(const Tensor& bias, Tensor& y);                 // every row of y = bias; any rank
void bias_backward(const Tensor& dy, Tensor& dbias, Write mode);  // db = Σ rows of dy; any rank

}  // namespace actgrad::kernels
