#include "kernels/covariance.h"

#include <algorithm>

#include "kernels/cuda/blas.h"
#include "kernels/cuda/im2col.h"
#include "kernels/cuda/runtime.h"
#include "kernels/registry.h"
#include "kernels/row_means.h"

namespace actgrad::kernels {
namespace {

// result (n, ld): the first n columns of the sums on and above the diagonal become means, and are mirrored.
template <class T>
__global__ void finish_kernel(std::int64_t n, std::int64_t ld, T factor, T* result) {
  for (std::int64_t at = cuda::first_element(); at < n * n; at += cuda::element_step()) {
    const std::int64_t i = at / n, j = at % n;
    if (i <= j) result[i * ld + j] = result[j * ld + i] = result[i * ld + j] * factor;
  }
}

template <class T>
void finish(std::int64_t n, std::int64_t ld, std::int64_t rows, T* result) {
  cuda::launch(finish_kernel<T>, cuda::blocks_for(n * n), cuda::block_size, 0, cuda::stream(), n, ld,
               T(1) / static_cast<T>(rows), result);
}

// The last row and column of result (d + 1, d + 1): the means, and 1.
template <class T>
__global__ void border_kernel(std::int64_t d, const T* means, T* result) {
  for (std::int64_t j = cuda::first_element(); j <= d; j += cuda::element_step())
    result[j * (d + 1) + d] = result[d * (d + 1) + j] = j < d ? means[j] : T(1);
}

template <class T>
void write_border(std::int64_t d, const T* means, T* result) {
  cuda::launch(border_kernel<T>, cuda::blocks_for(d + 1), cuda::block_size, 0, cuda::stream(), d, means, result);
}

// result (d, ld) = or += xᵀ x for x (rows, step): d of its columns.
template <class T>
void add_product(const T* x, std::int64_t rows, std::int64_t step, std::int64_t d, std::int64_t ld, Write mode,
                 T* result) {
  cuda::gemm<T>(Transpose::yes, Transpose::no, d, d, rows, x, step, x, step, result, ld, mode, MatrixPrecision::full);
}

template <class T>
void covariance_of(const Tensor& x, bool ones, Tensor& result) {
  const std::int64_t d = x.dim(-1), rows = x.numel() / d, n = d + (ones ? 1 : 0);
  T* const to = result.data<T>();
  add_product(x.data<T>(), rows, d, d, n, Write::overwrite, to);
  finish(d, n, rows, to);
  if (!ones) return;
  Tensor means = Tensor::empty({d}, x.dtype(), x.device());
  mean_of_rows(x, means);
  write_border<T>(d, means.data<T>(), to);
}

template <class T>
void group_covariance_of(const Tensor& dy, std::int64_t groups, Tensor& result) {
  const std::int64_t out = dy.dim(-1), rows = dy.numel() / out, size = out / groups;
  for (std::int64_t group = 0; group < groups; ++group) {
    T* const to = result.data<T>() + group * size * size;
    add_product(dy.data<T>() + group * size, rows, out, size, size, Write::overwrite, to);
    finish(size, size, rows, to);
  }
}

template <class T>
void patch_covariance_of(const Conv2dGeometry& g, const Tensor& x, bool ones, Tensor& result) {
  const std::int64_t positions = g.out_height() * g.out_width(), d = g.patch_size(), n = d + (ones ? 1 : 0);
  Tensor means;
  if (ones) {
    Tensor of_samples = Tensor::empty({g.batch, g.groups * d}, x.dtype(), x.device());
    patch_means(g, x, false, of_samples);
    means = Tensor::empty({g.groups * d}, x.dtype(), x.device());
    mean_of_rows(of_samples, means);
  }
  // The im2col matrix of some images at a time, a quarter of a gigabyte at most.
  const std::int64_t bytes = positions * d * static_cast<std::int64_t>(sizeof(T));
  const std::int64_t images = std::clamp<std::int64_t>((1 << 28) / bytes, 1, std::max<std::int64_t>(g.batch, 1));
  const Tensor columns = Tensor::empty({images * positions, d}, x.dtype(), x.device());
  for (std::int64_t group = 0; group < g.groups; ++group) {
    T* const to = result.data<T>() + group * n * n;
    for (std::int64_t first = 0; first < g.batch; first += images) {
      const std::int64_t count = std::min(images, g.batch - first);
      cuda::im2col(g, x.data<T>(), first, count, group, columns.data<T>());
      add_product<T>(columns.data<T>(), count * positions, d, d, n, first == 0 ? Write::overwrite : Write::accumulate,
                     to);
    }
    finish(d, n, g.batch * positions, to);
    if (ones) write_border<T>(d, means.data<T>() + group * d, to);
  }
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(covariance, covariance_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(group_covariance, group_covariance_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(patch_covariance, patch_covariance_of);

}  // namespace actgrad::kernels
