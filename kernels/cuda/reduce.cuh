// Sums whose order is fixed: the same bits every time; and maxima.
#pragma once

#include "kernels/cuda/runtime.h"

namespace actgrad::cuda {

// The sum of `value` over the 32 lanes of a warp, in every lane.
template <class T>
__device__ T warp_sum(T value) {
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(0xFFFFFFFFu, value, offset);
  return value;
}

// The largest `value` over the 32 lanes of a warp, in every lane. NaN may be lost.
template <class T>
__device__ T warp_max(T value) {
  for (int offset = 16; offset > 0; offset /= 2) {
    const T other = __shfl_xor_sync(0xFFFFFFFFu, value, offset);
    value = value < other ? other : value;
  }
  return value;
}

// The sum over a block, in every thread. blockDim.x must be a multiple of 32, at most 1024; all threads must call it.
template <class T>
__device__ T block_sum(T value) {
  __shared__ T of_warp[32];
  value = warp_sum(value);
  __syncthreads();  // an earlier sum may still be read
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  T total = 0;
  for (unsigned w = 0; w < blockDim.x / 32; ++w) total += of_warp[w];
  return total;
}

template <class Term>
__global__ void partial_sums_kernel(std::int64_t n, Term term, double* partial) {
  double sum = 0;
  for (std::int64_t i = first_element(); i < n; i += element_step()) sum += term(i);
  sum = block_sum(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

template <class Term>
__global__ void total_kernel(int n, const double* partial, Term finish) {
  double sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x)) sum += partial[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) finish(sum);
}

// finish(Σ_i term(i)) on the device. The number of blocks depends on n alone, so the order of the sum does too.
template <class Term, class Finish>
void reduce(std::int64_t n, const Term& term, const Finish& finish) {
  constexpr std::int64_t terms_per_block = 16 * block_size;
  const int blocks = static_cast<int>(std::clamp<std::int64_t>((n + terms_per_block - 1) / terms_per_block, 1, 1024));
  const Tensor partial = Tensor::empty({blocks}, DType::float64, this_device());
  launch(partial_sums_kernel<Term>, static_cast<unsigned>(blocks), block_size, 0, stream(), n, term,
         partial.data<double>());
  launch(total_kernel<Finish>, 1u, block_size, 0, stream(), blocks, partial.data<double>(), finish);
}

}  // namespace actgrad::cuda
