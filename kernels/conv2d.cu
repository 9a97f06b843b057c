// Convolution on the GPU: the engines, and which one computes. As im2col and a matrix product, for each group with X
// the column matrix of im2col.h (positions, patch), W the group's weights (out, patch) and Y its output channels
// (positions, out):   Y = X Wᵀ + b,   dX = dY W,   dW = dYᵀ X.
#include "kernels/conv2d.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "kernels/algorithm_choice.h"
#include "kernels/cuda/autotune.h"
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

const std::string ours = "im2col";

// Whether cuDNN computes: where it is built in and unless im2col was asked for; in float32, and with 32-bit indices.
bool by_library(const Conv2dGeometry& g, const Tensor& x, ConvEngine engine) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  return cuda::cudnn_available() && engine != ConvEngine::im2col && x.dtype() == DType::float32 && x.numel() > 0 &&
         g.input_shape().numel() <= most && g.output_shape().numel() <= most;
}

// "conv2d backward_data (128, 32, 32, 16) * (16, 3, 3, 16), stride 1, padding 1, dilation 1, auto, tf32"
std::string describe(cuda::ConvDirection direction, const Conv2dGeometry& g, const Tensor& x, ConvEngine engine) {
  constexpr const char* directions[] = {"forward", "backward_data", "backward_weight"};
  constexpr const char* precisions[] = {"fp32", "tf32", "bf16"};
  const auto number = [](std::int64_t value) { return std::to_string(value); };
  return std::string("conv2d ") + directions[static_cast<int>(direction)] + " " + g.input_shape().to_string() + " * " +
         g.weight_shape().to_string() + ", stride " + number(g.stride) + ", padding " + number(g.padding) +
         ", dilation " + number(g.dilation) + ", " + name_of(engine) + ", " +
         (x.dtype() == DType::float64 ? "fp64" : precisions[static_cast<int>(matrix_precision())]);
}

// Calls run(algorithm, result, mode) with the algorithm that shall compute: of those that cuDNN lists and does not
// refuse, the one it expects to be fastest, and our im2col where there is none, unless cuDNN was asked for by name;
// tuned, the fastest of all cuDNN's, and with --conv auto of ours too. While they are tried, they write into another
// tensor.
template <class Run>
void compute(cuda::ConvDirection direction, const Conv2dGeometry& g, const Tensor& x, ConvEngine engine, Tensor& result,
             Write mode, const Run& run) {
  const bool library = by_library(g, x, engine);
  const auto candidates = [&] {
    std::vector<std::string> names;
    if (library) names = cuda::cudnn_algorithms(direction, g);
    if (!library || engine != ConvEngine::library) names.push_back(ours);
    if (names.empty())
      throw UserError("cuDNN has no algorithm for " + describe(direction, g, x, engine) + ": use --conv auto");
    return names;
  };
  if (!algorithm_policy().autotune || engine == ConvEngine::im2col) {
    for (;;) {  // one that is refused is not listed again
      try {
        return run(candidates().front(), result, mode);
      } catch (const AlgorithmRefused&) {
      }
    }
  }
  const auto attempt = [&](const std::string& name) {
    Tensor scratch = Tensor::empty(result.shape(), result.dtype(), result.device());
    run(name, scratch, Write::overwrite);
  };
  run(cuda::fastest(describe(direction, g, x, engine), candidates(), attempt), result, mode);
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

void im2col_forward(const Conv2dGeometry& g, const Tensor& x, const Tensor& weight, Tensor& y, Write mode) {
  const std::int64_t positions = g.out_height() * g.out_width(), patch = g.patch_size(), out = g.group_out();
  visit_floating(x.dtype(), [&]<class T>() {
    for_each_block<T>(g, x.device(), [&](std::int64_t first, std::int64_t count, std::int64_t group, T* columns) {
      cuda::im2col(g, x.data<T>(), first, count, group, columns);
      cuda::gemm(Transpose::no, Transpose::yes, count * positions, out, patch, static_cast<const T*>(columns), patch,
                 static_cast<const T*>(weight.data<T>() + group * out * patch), patch,
                 y.data<T>() + first * positions * g.out_channels + group * out, g.out_channels, mode);
    });
  });
}

void im2col_backward_data(const Conv2dGeometry& g, const Tensor& dy, const Tensor& weight, Tensor& dx, Write mode) {
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

void im2col_backward_weight(const Conv2dGeometry& g, const Tensor& dy, const Tensor& x, Tensor& dweight, Write mode) {
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

void forward(const Conv2dGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y,
             ConvEngine engine) {
  if (bias) bias_forward(bias, y);
  const Write mode = bias ? Write::accumulate : Write::overwrite;
  compute(cuda::ConvDirection::forward, g, x, engine, y, mode,
          [&](const std::string& algorithm, Tensor& to, Write how) {
            algorithm == ours ? im2col_forward(g, x, weight, to, how)
                              : cuda::cudnn_forward(g, algorithm, x, weight, to, how);
          });
}

void backward_data(const Conv2dGeometry& g, const Tensor& dy, const Tensor& weight, Tensor& dx, Write mode,
                   ConvEngine engine) {
  compute(cuda::ConvDirection::backward_data, g, dy, engine, dx, mode,
          [&](const std::string& algorithm, Tensor& to, Write how) {
            algorithm == ours ? im2col_backward_data(g, dy, weight, to, how)
                              : cuda::cudnn_backward_data(g, algorithm, dy, weight, to, how);
          });
}

void backward_weight(const Conv2dGeometry& g, const Tensor& dy, const Tensor& x, Tensor& dweight, Write mode,
                     ConvEngine engine) {
  compute(cuda::ConvDirection::backward_weight, g, dy, engine, dweight, mode,
          [&](const std::string& algorithm, Tensor& to, Write how) {
            algorithm == ours ? im2col_backward_weight(g, dy, x, to, how)
                              : cuda::cudnn_backward_weight(g, algorithm, dy, x, to, how);
          });
}

}  // namespace

ACTGRAD_CUDA_KERNEL(conv2d_forward, forward);
ACTGRAD_CUDA_KERNEL(conv2d_backward_data, backward_data);
ACTGRAD_CUDA_KERNEL(conv2d_backward_weight, backward_weight);

}  // namespace actgrad::kernels
