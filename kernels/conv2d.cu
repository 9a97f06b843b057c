// Convolution on the GPU: the engines, and which one computes. As im2col and a matrix product, for each group with X
// the column matrix of im2col.h (positions, patch), W the group's weights (out, patch) and Y its output channels
// (positions, out):   Y = X Wᵀ + b,   dX = dY W,   dW = dYᵀ X.
#include "kernels/conv2d.h"

#include <algorithm>

#include "kernels/cuda/blas.h"
#include "kernels/cuda/cudnn_convolution.h"
#include "kernels/cuda/im2col.h"
#include "kernels/cuda/runtime.h"
#include "kernels/dispatch.h"
#include "kernels/linear.h"
#include "kernels/precision.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

// Whether cuDNN computes: where it is built in and unless im2col was asked for; in float32, of which it can round the
// factors to TF32 but not to bfloat16.
bool by_library(const Tensor& x, ConvEngine engine) {
  return cuda::cudnn_available() && engine != ConvEngine::im2col && x.dtype() == DType::float32 && x.numel() > 0 &&
         matrix_precision() != MatrixPrecision::bf16;
}

// Calls f(first, count, group, columns) for blocks of images whose column matrices take a quarter of a gigabyte at
// most: large enough to fill the device, and the memory does not grow with the batch.
template <class T, class F>
void for_each_block(const Conv2dGeometry& g, Device device, F&& f) {
  const std::int64_t positions = g.out_height() * g.out_width();
  const std::int64_t bytes = positions * g.patch_size() * static_cast<std::int64_t>(sizeof(T));
  const std::int64_t images = std::clamp<std::int64_t>((1 << 28) / bytes, 1, std::max<std::int64_t>(g.batch, 1));
  const Tensor columns = Tensor::empty({images * positions, g.patch_size()}, dtype_of<T>::value, device);
  for (std::int64_t first = 0; first < g.batch; first += images)
    for (std::int64_t group = 0; group < g.groups; ++group)
      f(first, std::min(images, g.batch - first), group, columns.data<T>());
}

void forward(const Conv2dGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y,
             ConvEngine engine) {
  const std::int64_t positions = g.out_height() * g.out_width(), patch = g.patch_size(), out = g.group_out();
  const Write mode = bias ? Write::accumulate : Write::overwrite;
  if (bias) bias_forward(bias, y);
  if (by_library(x, engine)) return cuda::cudnn_forward(g, x, weight, y, mode);
  visit_floating(x.dtype(), [&]<class T>() {
    for_each_block<T>(g, x.device(), [&](std::int64_t first, std::int64_t count, std::int64_t group, T* columns) {
      cuda::im2col(g, x.data<T>(), first, count, group, columns);
      cuda::gemm(Transpose::no, Transpose::yes, count * positions, out, patch, static_cast<const T*>(columns), patch,
                 static_cast<const T*>(weight.data<T>() + group * out * patch), patch,
                 y.data<T>() + first * positions * g.out_channels + group * out, g.out_channels, mode);
    });
  });
}

void backward_data(const Conv2dGeometry& g, const Tensor& dy, const Tensor& weight, Tensor& dx, Write mode,
                   ConvEngine engine) {
  if (by_library(dy, engine)) return cuda::cudnn_backward_data(g, dy, weight, dx, mode);
  const std::int64_t positions = g.out_height() * g.out_width(), patch = g.patch_size(), out = g.group_out();
  visit_floating(dy.dtype(), [&]<class T>() {
    for_each_block<T>(g, dy.device(), [&](std::int64_t first, std::int64_t count, std::int64_t group, T* columns) {
      const T* const gradient = dy.data<T>() + first * positions * g.out_channels + group * out;
      const T* const w = weight.data<T>() + group * out * patch;
      cuda::gemm(Transpose::no, Transpose::no, count * positions, patch, out, gradient, g.out_channels, w, patch,
                 columns, patch, Write::overwrite);
      cuda::col2im(g, static_cast<const T*>(columns), first, count, group, dx.data<T>(), mode);
    });
  });
}

void backward_weight(const Conv2dGeometry& g, const Tensor& dy, const Tensor& x, Tensor& dweight, Write mode,
                     ConvEngine engine) {
  if (by_library(dy, engine)) return cuda::cudnn_backward_weight(g, dy, x, dweight, mode);
  const std::int64_t positions = g.out_height() * g.out_width(), patch = g.patch_size(), out = g.group_out();
  if (g.batch == 0 && mode == Write::overwrite) dweight.fill_zero();
  visit_floating(dy.dtype(), [&]<class T>() {
    for_each_block<T>(g, dy.device(), [&](std::int64_t first, std::int64_t count, std::int64_t group, T* columns) {
      cuda::im2col(g, x.data<T>(), first, count, group, columns);
      const T* const gradient = dy.data<T>() + first * positions * g.out_channels + group * out;
      cuda::gemm(Transpose::yes, Transpose::no, out, patch, count * positions, gradient, g.out_channels,
                 static_cast<const T*>(columns), patch, dweight.data<T>() + group * out * patch, patch,
                 first == 0 ? mode : Write::accumulate);
    });
  });
}

}  // namespace

ACTGRAD_CUDA_KERNEL(conv2d_forward, forward);
ACTGRAD_CUDA_KERNEL(conv2d_backward_data, backward_data);
ACTGRAD_CUDA_KERNEL(conv2d_backward_weight, backward_weight);

}  // namespace actgrad::kernels
