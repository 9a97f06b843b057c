// One block of threads per row where a row is summed; the order of a sum depends on the row's length alone.
#include "kernels/feature_rows.h"

#include "kernels/cuda/reduce.cuh"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

// f(row, i, element of the row-major matrix) for all of them.
template <class F>
__global__ void matrix_kernel(std::int64_t count, std::int64_t n, F f) {
  for (std::int64_t e = cuda::first_element(); e < count; e += cuda::element_step()) f(e / n, e % n, e);
}
template <class F>
void for_each_of_rows(const Tensor& matrix, const F& f) {
  const std::int64_t count = matrix.numel();
  if (count == 0) return;
  cuda::launch(matrix_kernel<F>, cuda::blocks_for(count), cuda::block_size, 0, cuda::stream(), count, matrix.dim(1), f);
}

// finish(row, Σ_i term(row·n + i))
template <class Term, class Finish>
__global__ void row_sums_kernel(std::int64_t n, Term term, Finish finish) {
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += term(blockIdx.x * n + i);
  sum = cuda::block_sum(sum);
  if (threadIdx.x == 0) finish(blockIdx.x, sum);
}
template <class Term, class Finish>
void row_sums(const Tensor& matrix, const Term& term, const Finish& finish) {
  if (matrix.dim(0) == 0) return;
  cuda::launch(row_sums_kernel<Term, Finish>, static_cast<unsigned>(matrix.dim(0)), cuda::block_size, 0, cuda::stream(),
               matrix.dim(1), term, finish);
}

template <class T>
void row_bias_forward_of(const Tensor& bias, Tensor& y) {
  for_each_of_rows(y, [b = bias.data<T>(), to = y.data<T>()] __device__(std::int64_t row, std::int64_t,
                                                                        std::int64_t e) { to[e] = b[row]; });
}

template <class T>
void row_bias_backward_of(const Tensor& dy, Tensor& dbias, Write mode) {
  row_sums(
      dy, [from = dy.data<T>()] __device__(std::int64_t e) { return static_cast<double>(from[e]); },
      [to = dbias.data<T>(), add = mode == Write::accumulate] __device__(unsigned row, double sum) {
        to[row] = T(sum + (add ? static_cast<double>(to[row]) : 0));
      });
}

template <class T>
void row_normalise_forward_of(const Tensor& x, Tensor& y, Tensor& scales) {
  const T* const from = x.data<T>();
  double* const scale = scales.data<double>();
  row_sums(
      x, [=] __device__(std::int64_t e) { return static_cast<double>(from[e]) * static_cast<double>(from[e]); },
      [=] __device__(unsigned row, double sum) { scale[row] = 1 / sqrt(sum + 1e-16); });
  for_each_of_rows(x, [=, to = y.data<T>()] __device__(std::int64_t row, std::int64_t, std::int64_t e) {
    to[e] = T(static_cast<double>(from[e]) * scale[row]);
  });
}

template <class T>
void row_normalise_backward_of(const Tensor& dy, const Tensor& y, const Tensor& scales, Tensor& dx, Write mode) {
  const T *const gradient = dy.data<T>(), *const values = y.data<T>();
  const Tensor dots = Tensor::empty(scales.shape(), DType::float64, dy.device());
  double* const dot = dots.data<double>();
  row_sums(
      dy, [=] __device__(std::int64_t e) { return static_cast<double>(gradient[e]) * static_cast<double>(values[e]); },
      [=] __device__(unsigned row, double sum) { dot[row] = sum; });
  for_each_of_rows(dy, [=, scale = scales.data<double>(), to = dx.data<T>(),
                        add = mode == Write::accumulate] __device__(std::int64_t row, std::int64_t, std::int64_t e) {
    const T change = T(scale[row] * (static_cast<double>(gradient[e]) - static_cast<double>(values[e]) * dot[row]));
    to[e] = change + (add ? to[e] : T(0));
  });
}

template <class T>
void row_dot_forward_of(const Tensor& a, const Tensor& b, Tensor& y) {
  const std::int64_t rows = a.dim(0), n = a.dim(1);
  for_each_of_rows(y.reshape({1, n}), [rows, n, left = a.data<T>(), right = b.data<T>(), to = y.data<T>()] __device__(
                                          std::int64_t, std::int64_t i, std::int64_t) {
    T sum = T(0);
    for (std::int64_t r = 0; r < rows; ++r) sum += left[r * n + i] * right[r * n + i];
    to[i] = sum;
  });
}

template <class T>
void row_dot_backward_of(const Tensor& dy, const Tensor& b, Tensor& da, Write mode) {
  for_each_of_rows(
      b, [gradient = dy.data<T>(), other = b.data<T>(), to = da.data<T>(), add = mode == Write::accumulate] __device__(
             std::int64_t, std::int64_t i, std::int64_t e) { to[e] = gradient[i] * other[e] + (add ? to[e] : T(0)); });
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(row_bias_forward, row_bias_forward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(row_bias_backward, row_bias_backward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(row_normalise_forward, row_normalise_forward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(row_normalise_backward, row_normalise_backward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(row_dot_forward, row_dot_forward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(row_dot_backward, row_dot_backward_of);

}  // namespace actgrad::kernels
