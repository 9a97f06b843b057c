// Two-dimensional convolution (cross-correlation, as everywhere in deep learning), NHWC images and OHWI weights:
//
//   y[n, oy, ox, o] = b[o] + Σ_{ky, kx, i} w[o, ky, kx, i] · x[n, oy·s + ky·d − p, ox·s + kx·d − p, g·I + i]
//
// with stride s, dilation d, zero padding p, and g the group of output channel o (out/groups consecutive channels share
// one slice of in/groups input channels). Output size: OH = (H + 2p − d·(KH−1) − 1)/s + 1, OW likewise.
#pragma once

#include <compare>
#include <string>

#include "core/tape.h"

namespace actgrad::kernels {

struct Conv2dGeometry {
  std::int64_t batch, height, width, in_channels;  // x: (batch, height, width, in_channels)
  std::int64_t out_channels, kernel_h, kernel_w;   // w: (out_channels, kernel_h, kernel_w, in_channels / groups)
  std::int64_t stride = 1, padding = 0, dilation = 1, groups = 1;

  constexpr std::int64_t out_height() const { return out(height, kernel_h); }
  constexpr std::int64_t out_width() const { return out(width, kernel_w); }
  constexpr std::int64_t group_in() const { return in_channels / groups; }
  constexpr std::int64_t group_out() const { return out_channels / groups; }
  constexpr std::int64_t patch_size() const {
    return kernel_h * kernel_w * group_in();
  }  // columns of the weight matrix
  Shape input_shape() const { return {batch, height, width, in_channels}; }
  Shape output_shape() const { return {batch, out_height(), out_width(), out_channels}; }
  Shape weight_shape() const { return {out_channels, kernel_h, kernel_w, group_in()}; }
  auto operator<=>(const Conv2dGeometry&) const = default;

 private:
  constexpr std::int64_t out(std::int64_t in, std::int64_t kernel) const {
    const std::int64_t room = in + 2 * padding - dilation * (kernel - 1) - 1;
    return room < 0 ? 0 : room / stride + 1;  // 0: the kernel is larger than the padded image
  }
};

// Which code computes a convolution.
enum class ConvEngine {
  automatic,  // for each geometry the fastest of the others, by rules that were measured
  im2col,     // our im2col + GEMM (conv2d_im2col.cpp): the one to read; every geometry, float and double
  library,    // oneDNN (conv2d_library.cpp): every geometry, float
  winograd,   // a quarter of the multiplications (winograd/): 3x3, stride 1, multiples of 16 channels, float
  direct,     // images in vector lanes (conv2d_direct.cpp): for few channels; stride 1, float
};
// "auto", "im2col", "library", "winograd", "direct"; UserError otherwise, or if the build has none for this device.
ConvEngine parse_conv_engine(const std::string& text, Device device = {});
std::string name_of(ConvEngine engine);
// The engine that computes convolutions of this geometry and dtype when `wanted` is asked for: one that can, never
// `automatic`. It depends on nothing else, so a resumed run computes the same bits.
ConvEngine engine_for(const Conv2dGeometry& g, DType dtype, ConvEngine wanted);
bool conv_library_available();

// bias: (out_channels) or undefined.
void conv2d_forward(const Conv2dGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y,
                    ConvEngine engine);
// The gradient with respect to x: the transposed convolution of dy.
void conv2d_backward_data(const Conv2dGeometry& g, const Tensor& dy, const Tensor& weight, Tensor& dx, Write mode,
                          ConvEngine engine);
// The gradient with respect to the weight: dW[o, k] = Σ over batch and positions of dy[·, o] · patch[·, k].
// (The bias gradient is bias_backward of linear.h: the sum of dy over batch and positions.)
void conv2d_backward_weight(const Conv2dGeometry& g, const Tensor& dy, const Tensor& x, Tensor& dweight, Write mode,
                            ConvEngine engine);

}  // namespace actgrad::kernels
