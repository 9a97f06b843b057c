#include "kernels/gradient_encodings.h"

#include "kernels/cuda/elementwise.cuh"
#include "kernels/gradient_encoding_formulas.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

using cuda::In;
using cuda::InOut;
using cuda::Out;

template <class T>
void log_encoding_of(const Tensor& g, Tensor& features) {
  cuda::for_each_element(
      g.numel(),
      [] __device__(const T& gradient, T& size, T& sign) {
        size = formulas::log_size(gradient);
        sign = formulas::clipped_sign(gradient);
      },
      In<T>{g.data<T>()}, Out<T>{features.data<T>()}, Out<T>{features.data<T>() + g.numel()});
}

template <class T>
void rms_encoding_of(const Tensor& g, const RmsEncoding& step, Tensor& m, Tensor& v, Tensor& features) {
  cuda::for_each_element(
      g.numel(),
      [k = formulas::rms_constants<T>(step)] __device__(const T& gradient, T& first, T& second, T& of_g, T& of_m) {
        formulas::rms_features(gradient, first, second, of_g, of_m, k);
      },
      In<T>{g.data<T>()}, InOut<T>{m.data<T>()}, InOut<T>{v.data<T>()}, Out<T>{features.data<T>()},
      Out<T>{features.data<T>() + g.numel()});
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(log_encoding, log_encoding_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(rms_encoding, rms_encoding_of);

}  // namespace actgrad::kernels
