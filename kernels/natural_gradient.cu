#include "kernels/natural_gradient.h"

#include "kernels/cuda/elementwise.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/natural_gradient_formulas.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

template <class T>
__global__ void divide_kernel(std::int64_t size, std::int64_t m, std::int64_t n, T* x, const T* left, const T* right,
                              T damping) {
  for (std::int64_t i = cuda::first_element(); i < size; i += cuda::element_step()) {
    const std::int64_t row = i / n;
    x[i] /= left[row] * right[row / m * n + i % n] + damping;
  }
}

template <class T>
void divide_by_kronecker_of(Tensor& x, const Tensor& left, const Tensor& right, double damping) {
  if (x.numel() == 0) return;
  cuda::launch(divide_kernel<T>, cuda::blocks_for(x.numel()), cuda::block_size, 0, cuda::stream(), x.numel(), x.dim(1),
               x.dim(2), x.data<T>(), left.data<T>(), right.data<T>(), T(damping));
}

template <class T>
void kl_clip_of(Tensor& direction, const Tensor& gradient, const StepValue<double>& lr, double limit) {
  const Tensor factor = Tensor::empty({1}, DType::float64, direction.device());
  double* const to = factor.data<double>();
  const T *const d = direction.data<T>(), *const g = gradient.data<T>();
  cuda::reduce(
      direction.numel(),
      [=] __device__(std::int64_t i) { return static_cast<double>(d[i]) * static_cast<double>(g[i]); },
      [=, rate = lr.on_device()] __device__(double sum) { *to = formulas::kl_factor(sum, *rate, limit); });
  cuda::for_each_element_with(
      direction.numel(), [=] __device__() { return T(*to); }, [] __device__(const T& k, T& value) { value *= k; },
      cuda::InOut<T>{direction.data<T>()});
}

// Σ over [0, n) of term(i), in every thread of the block.
template <class Term>
__device__ double sum_of_block(std::int64_t n, const Term& term) {
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += term(i);
  return cuda::block_sum(sum);
}

// One block per group. scratch: (groups, m + n) doubles, for Ga and bᵀG.
template <class T>
__global__ void rank_one_kernel(std::int64_t m, std::int64_t n, const T* gradients, const T* bs, const T* as,
                                double damping, bool joint, double* scratch, T* directions) {
  const std::int64_t group = blockIdx.x;
  const T *const g = gradients + group * m * n, *const b = bs + group * m, *const a = as + group * n;
  T* const direction = directions + group * m * n;
  double *const ga = scratch + group * (m + n), *const bg = ga + m;

  for (std::int64_t i = threadIdx.x / 32; i < m; i += blockDim.x / 32) {  // a warp per row
    double sum = 0;
    for (std::int64_t j = threadIdx.x % 32; j < n; j += 32)
      sum += static_cast<double>(g[i * n + j]) * static_cast<double>(a[j]);
    sum = cuda::warp_sum(sum);
    if (threadIdx.x % 32 == 0) ga[i] = sum;
  }
  for (std::int64_t j = threadIdx.x; j < n; j += blockDim.x) {  // a thread per column
    double sum = 0;
    for (std::int64_t i = 0; !joint && i < m; ++i) sum += static_cast<double>(b[i]) * static_cast<double>(g[i * n + j]);
    bg[j] = sum;
  }
  __syncthreads();
  const double aa =
      sum_of_block(n, [&](std::int64_t j) { return static_cast<double>(a[j]) * static_cast<double>(a[j]); });
  const double bb =
      sum_of_block(m, [&](std::int64_t i) { return static_cast<double>(b[i]) * static_cast<double>(b[i]); });
  const double bga = sum_of_block(m, [&](std::int64_t i) { return static_cast<double>(b[i]) * ga[i]; });
  const formulas::RankOneConstants c = formulas::rank_one_constants(joint, damping, aa, bb, bga);
  for (std::int64_t e = threadIdx.x; e < m * n; e += blockDim.x) {
    const std::int64_t i = e / n, j = e % n;
    const double bi = static_cast<double>(b[i]);
    direction[e] = T(c.k[0]) * g[e] + T(c.k[1] * bi + c.k[3] * ga[i]) * a[j] + T(c.k[2] * bi) * T(bg[j]);
  }
}

template <class T>
void rank_one_direction_of(const Tensor& gradient, const Tensor& b, const Tensor& a, double damping, RankOne form,
                           Tensor& direction) {
  if (gradient.numel() == 0) return;
  const std::int64_t groups = gradient.dim(0), m = gradient.dim(1), n = gradient.dim(2);
  const Tensor scratch = Tensor::empty({groups, m + n}, DType::float64, gradient.device());
  cuda::launch(rank_one_kernel<T>, static_cast<unsigned>(groups), cuda::block_size, 0, cuda::stream(), m, n,
               gradient.data<T>(), b.data<T>(), a.data<T>(), damping, form == RankOne::joint, scratch.data<double>(),
               direction.data<T>());
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(divide_by_kronecker, divide_by_kronecker_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(kl_clip, kl_clip_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(rank_one_direction, rank_one_direction_of);

}  // namespace actgrad::kernels
