// Convolutions by cuDNN: float32, NHWC, its fastest deterministic algorithm by its own estimate.
#pragma once

#include "kernels/conv2d.h"

namespace actgrad::cuda {

bool cudnn_available();  // whether this build has it

// y = or += conv(x, w). The factors are rounded as kernels::matrix_precision() says.
void cudnn_forward(const kernels::Conv2dGeometry& g, const Tensor& x, const Tensor& weight, Tensor& y, Write mode);
void cudnn_backward_data(const kernels::Conv2dGeometry& g, const Tensor& dy, const Tensor& weight, Tensor& dx,
                         Write mode);
void cudnn_backward_weight(const kernels::Conv2dGeometry& g, const Tensor& dy, const Tensor& x, Tensor& dweight,
                           Write mode);

}  // namespace actgrad::cuda
