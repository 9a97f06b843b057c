// Pooling on NHWC images: x (N, H, W, C) → y (N, OH, OW, C), OH = (H + 2·padding − size)/stride + 1 (rounded down).
#pragma once

#include "core/tape.h"

namespace actgrad::kernels {

struct PoolGeometry {
  std::int64_t size, stride, padding = 0;
  constexpr std::int64_t out(std::int64_t in) const {
    const std::int64_t room = in + 2 * padding - size;
    return room < 0 ? 0 : room / stride + 1;  // 0: the window is larger than the padded image
  }
};

// The maximum of each window (padding never wins). `argmax` (same shape as y, uint8) keeps which element of the window
// it was (ky·size + kx, the first of equals, as PyTorch), for the backward pass; undefined: not kept. size <= 16.
void max_pool_forward(const Tensor& x, const PoolGeometry& g, Tensor& y, Tensor& argmax);
void max_pool_backward(const Tensor& dy, const Tensor& argmax, const PoolGeometry& g, Tensor& dx, Write mode);

// The mean of each window; padding counts as zeros (PyTorch's default).
void avg_pool_forward(const Tensor& x, const PoolGeometry& g, Tensor& y);
void avg_pool_backward(const Tensor& dy, const PoolGeometry& g, Tensor& dx, Write mode);

// x (N, H, W, C) → y (N, C): the mean over all positions.
void global_avg_pool_forward(const Tensor& x, Tensor& y);
void global_avg_pool_backward(const Tensor& dy, Tensor& dx, Write mode);

}  // namespace actgrad::kernels
