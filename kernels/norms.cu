#include "kernels/norms.h"

#include "kernels/cuda/elementwise.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/formulas.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

using cuda::In;
using cuda::InOut;

template <class T>
void squared_norm_of(const Tensor& x, Tensor& result, Write mode) {
  const T* const values = x.data<T>();
  double* const to = result.data<double>();
  const bool accumulate = mode == Write::accumulate;
  cuda::reduce(
      x.numel(),
      [=] __device__(std::int64_t i) { return static_cast<double>(values[i]) * static_cast<double>(values[i]); },
      [=] __device__(double sum) { *to = accumulate ? *to + sum : sum; });
}

template <class T>
void clip_by_norm_of(Tensor& g, const Tensor& squared_norm, double max_norm, double eps) {
  cuda::for_each_element_with(
      g.numel(),
      [s = squared_norm.data<double>(), max_norm, eps] __device__() {
        return T(formulas::clip_factor(*s, max_norm, eps));
      },
      [] __device__(const T& factor, T& value) { value *= factor; }, InOut<T>{g.data<T>()});
}

template <class T>
void add_scaled_by_norm_of(Tensor& p, const Tensor& g, const Tensor& squared_norm, double rho) {
  cuda::for_each_element_with(
      p.numel(), [s = squared_norm.data<double>(), rho] __device__() { return T(formulas::unit_factor(*s, rho)); },
      [] __device__(const T& factor, T& value, const T& gradient) { value += factor * gradient; },
      InOut<T>{p.data<T>()}, In<T>{g.data<T>()});
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(squared_norm, squared_norm_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(clip_by_norm, clip_by_norm_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(add_scaled_by_norm, add_scaled_by_norm_of);

}  // namespace actgrad::kernels
