#include "kernels/augmented.h"

#include "kernels/cuda/runtime.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

// f(entry of the matrix (·, n), the place in W or, at column d, in b) for each entry.
template <class F>
__global__ void for_each_entry_kernel(std::int64_t entries, std::int64_t n, std::int64_t d, F f) {
  for (std::int64_t at = cuda::first_element(); at < entries; at += cuda::element_step()) {
    const std::int64_t o = at / n, j = at % n;
    f(at, j < d, j < d ? o * d + j : o);
  }
}

template <class F>
void for_each_entry(const Tensor& matrix, const Tensor& bias, const F& f) {
  const std::int64_t n = matrix.dim(1), d = n - (bias ? 1 : 0);
  cuda::launch(for_each_entry_kernel<F>, cuda::blocks_for(matrix.numel()), cuda::block_size, 0, cuda::stream(),
               matrix.numel(), n, d, f);
}

template <class T>
void join_bias_of(const Tensor& weight, const Tensor& bias, Tensor& matrix) {
  const T *const w = weight.data<T>(), *const b = bias ? bias.data<T>() : nullptr;
  T* const to = matrix.data<T>();
  for_each_entry(matrix, bias, [=] __device__(std::int64_t at, bool of_weight, std::int64_t place) {
    to[at] = of_weight ? w[place] : b[place];
  });
}

template <class T>
void split_bias_of(const Tensor& matrix, Tensor& weight, Tensor& bias, Write mode) {
  const T* const from = matrix.data<T>();
  T *const w = weight.data<T>(), *const b = bias ? bias.data<T>() : nullptr;
  const bool add = mode == Write::accumulate;
  for_each_entry(matrix, bias, [=] __device__(std::int64_t at, bool of_weight, std::int64_t place) {
    T* const to = of_weight ? w + place : b + place;
    *to = add ? *to + from[at] : from[at];
  });
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(join_bias, join_bias_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(split_bias, split_bias_of);

}  // namespace actgrad::kernels
