// Smooth activation functions, elementwise. All tensors of a call have the same shape and dtype.
#pragma once

#include "core/tape.h"

namespace actgrad::kernels {

//   sigmoid 1/(1 + e⁻ˣ);  tanh;  elu: x where x > 0, else eˣ − 1
enum class Activation { sigmoid, tanh, elu };

void activation_forward(Activation kind, const Tensor& x, Tensor& y);
// dx from the result y: y(1 − y)·dy;  (1 − y²)·dy;  dy where y > 0, else (y + 1)·dy.
void activation_backward(Activation kind, const Tensor& dy, const Tensor& y, Tensor& dx, Write mode);

}  // namespace actgrad::kernels
