#include "kernels/linear.h"

#include "kernels/cuda/bias.cuh"
#include "kernels/cuda/blas.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

template <class T>
void linear_forward_of(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y) {
  const std::int64_t out = weight.dim(0), in = weight.dim(1), rows = x.numel() / in;
  if (bias) bias_forward(bias, y);
  cuda::gemm<T>(Transpose::no, Transpose::yes, rows, out, in, x.data<T>(), in, weight.data<T>(), in, y.data<T>(), out,
                bias ? Write::accumulate : Write::overwrite);
}

template <class T>
void linear_backward_input_of(const Tensor& dy, const Tensor& weight, Tensor& dx, Write mode) {
  const std::int64_t out = weight.dim(0), in = weight.dim(1), rows = dy.numel() / out;
  cuda::gemm<T>(Transpose::no, Transpose::no, rows, in, out, dy.data<T>(), out, weight.data<T>(), in, dx.data<T>(), in,
                mode);
}

template <class T>
void linear_backward_weight_of(const Tensor& dy, const Tensor& x, Tensor& dweight, Write mode) {
  const std::int64_t out = dweight.dim(0), in = dweight.dim(1), rows = dy.numel() / out;
  cuda::gemm<T>(Transpose::yes, Transpose::no, out, in, rows, dy.data<T>(), out, x.data<T>(), in, dweight.data<T>(), in,
                mode);
}

template <class T>
void bias_forward_of(const Tensor& bias, Tensor& y) {
  const std::int64_t out = bias.numel();
  cuda::spread_bias(bias.data<T>(), y.numel() / out, out, y.data<T>());
}

template <class T>
void bias_backward_of(const Tensor& dy, Tensor& dbias, Write mode) {
  const std::int64_t out = dbias.numel();
  cuda::bias_gradient(dy.data<T>(), dy.numel() / out, out, dbias.data<T>(), mode == Write::accumulate);
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(linear_forward, linear_forward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(linear_backward_input, linear_backward_input_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(linear_backward_weight, linear_backward_weight_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(bias_forward, bias_forward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(bias_backward, bias_backward_of);

}  // namespace actgrad::kernels
