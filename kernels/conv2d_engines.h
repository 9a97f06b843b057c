// The engines behind conv2d.h. conv2d.cpp checks the arguments and chooses; the functions here only compute.
#pragma once

#include "kernels/conv2d.h"

namespace actgrad::kernels {

// conv2d_im2col.cpp
void im2col_forward(const Conv2dGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y);
void im2col_backward_data(const Conv2dGeometry& g, const Tensor& dy, const Tensor& weight, Tensor& dx, Write mode);
void im2col_backward_weight(const Conv2dGeometry& g, const Tensor& dy, const Tensor& x, Tensor& dweight, Write mode);

// conv2d_library.cpp: float32 only, and only in builds where conv_library_available().
void library_forward(const Conv2dGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y);
void library_backward_data(const Conv2dGeometry& g, const Tensor& dy, const Tensor& weight, Tensor& dx, Write mode);
void library_backward_weight(const Conv2dGeometry& g, const Tensor& dy, const Tensor& x, Tensor& dweight, Write mode);

// conv2d_direct.cpp: float32 only, and only geometries that it supports. Those that suit it, it computes faster than
// the library does: channels that are few and no multiple of a vector register, kernels that are not, and at least half
// a register full of images.
bool direct_supports(const Conv2dGeometry& g);
bool direct_pays(const Conv2dGeometry& g);
void direct_forward(const Conv2dGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y);
// direct_forward and max pooling of its result, by windows of size × size pixels that tile it, in one go; argmax as
// in pooling.h.
void direct_max_pool_forward(const Conv2dGeometry& g, std::int64_t size, const Tensor& x, const Tensor& weight,
                             const Tensor& bias, Tensor& pooled, Tensor& argmax);
void direct_backward_data(const Conv2dGeometry& g, const Tensor& dy, const Tensor& weight, Tensor& dx, Write mode);
void direct_backward_weight(const Conv2dGeometry& g, const Tensor& dy, const Tensor& x, Tensor& dweight, Write mode);

}  // namespace actgrad::kernels
