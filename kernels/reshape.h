// Functions that move elements without arithmetic.
#pragma once

#include "core/tape.h"

namespace actgrad::kernels {

// x (N, H, W, C) → y (N, C·H·W) in (c, h, w) order, PyTorch's: so that a Linear behind a convolution means the same
// there.
void flatten_forward(const Tensor& x, Tensor& y);
void flatten_backward(const Tensor& dy, Tensor& dx, Write mode);

// The parameter-free shortcut of CIFAR residual networks (He et al. 2016, §4.2, "option A"): every second pixel in both
// directions, channels zero-padded by `before` in front and as many behind as y has room for.
// x (N, H, W, C) → y (N, ⌈H/2⌉, ⌈W/2⌉, C'), C' >= C + before.
void subsample_pad_forward(const Tensor& x, std::int64_t before, Tensor& y);
void subsample_pad_backward(const Tensor& dy, std::int64_t before, Tensor& dx, Write mode);

// Concatenation of channels: a (…, A) and b (…, B) → y (…, A + B), a's in front.
void concat_channels(const Tensor& a, const Tensor& b, Tensor& y);
// The channels [first, first + C) of x (…, C') → y (…, C): the way back, once for each part.
void slice_channels(const Tensor& x, std::int64_t first, Tensor& y, Write mode);

// Convolution weights between memory order (O, KH, KW, I) and file order (O, I, KH, KW); any dtype.
Tensor ohwi_to_oihw(const Tensor& weight);
Tensor oihw_to_ohwi(const Tensor& weight);

}  // namespace actgrad::kernels
