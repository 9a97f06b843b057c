// The matrix [W | b] of a layer with a bias: `matrix` (out, d + 1), the bias as its last column. Without a bias
// (undefined) it is W alone, (out, d). The weight may have any shape whose leading dimension is out, such as a
// convolution's.
#pragma once

#include "core/tape.h"

namespace actgrad::kernels {

void join_bias(const Tensor& weight, const Tensor& bias, Tensor& matrix);
void split_bias(const Tensor& matrix, Tensor& weight, Tensor& bias, Write mode = Write::overwrite);

}  // namespace actgrad::kernels
