#include "kernels/lamb.h"

#include "kernels/cuda/reduce.cuh"
#include "kernels/formulas.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

using Chunk = LambTensors::Chunk;

// One block per chunk. partial: (chunks, 2), the squares of its part of p and u.
template <class T>
__global__ void moments_kernel(const Chunk* chunks, const T* p, const T* g, T* m, T* v, const LambStep* step,
                               double* partial) {
  const Chunk chunk = chunks[blockIdx.x];
  const auto k = formulas::lamb_constants<T>(*step).of(chunk.decays);
  double of_p = 0, of_u = 0;
  for (std::int64_t i = chunk.begin + threadIdx.x; i < chunk.end; i += blockDim.x) {
    formulas::lamb_moments(g[i], m[i], v[i], k);
    const double u = formulas::lamb_direction(p[i], m[i], v[i], k), weight = p[i];
    of_p += weight * weight;
    of_u += u * u;
  }
  of_p = cuda::block_sum(of_p);
  of_u = cuda::block_sum(of_u);
  if (threadIdx.x != 0) return;
  partial[2 * blockIdx.x] = of_p;
  partial[2 * blockIdx.x + 1] = of_u;
}

// One block per tensor.
__global__ void ratio_kernel(const std::int64_t* first_chunks, const Chunk* chunks, const double* partial,
                             const LambStep* step, double* ratios) {
  const std::int64_t begin = first_chunks[blockIdx.x], end = first_chunks[blockIdx.x + 1];
  double of_p = 0, of_u = 0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
    of_p += partial[2 * i];
    of_u += partial[2 * i + 1];
  }
  of_p = cuda::block_sum(of_p);
  of_u = cuda::block_sum(of_u);
  if (threadIdx.x == 0)
    ratios[blockIdx.x] = begin < end && chunks[begin].decays ? formulas::trust_ratio(of_p, of_u, step->trust_max) : 1;
}

template <class T>
__global__ void step_kernel(const Chunk* chunks, T* p, const T* m, const T* v, const double* ratios,
                            const LambStep* step) {
  const Chunk chunk = chunks[blockIdx.x];
  const auto k = formulas::lamb_constants<T>(*step).of(chunk.decays);
  const T rate = T(step->lr * ratios[chunk.tensor]);
  for (std::int64_t i = chunk.begin + threadIdx.x; i < chunk.end; i += blockDim.x)
    p[i] -= rate * formulas::lamb_direction(p[i], m[i], v[i], k);
}

template <class T>
Tensor lamb_moments_of(const Tensor& p, const Tensor& g, Tensor& m, Tensor& v, const LambTensors& tensors,
                       const StepValue<LambStep>& step) {
  const std::int64_t count = std::ssize(tensors.list()), chunks = tensors.chunks().size();
  Tensor ratios = Tensor::empty({count}, DType::float64, p.device());
  if (count == 0) return ratios;
  const Tensor partial = Tensor::empty({chunks, 2}, DType::float64, p.device());
  if (chunks > 0)
    cuda::launch(moments_kernel<T>, static_cast<unsigned>(chunks), cuda::block_size, 0, cuda::stream(),
                 tensors.chunks().on_device(), p.data<T>(), g.data<T>(), m.data<T>(), v.data<T>(), step.on_device(),
                 partial.data<double>());
  cuda::launch(ratio_kernel, static_cast<unsigned>(count), cuda::block_size, 0, cuda::stream(),
               tensors.first_chunks().on_device(), tensors.chunks().on_device(), partial.data<double>(),
               step.on_device(), ratios.data<double>());
  return ratios;
}

template <class T>
void lamb_step_of(Tensor& p, const Tensor& m, const Tensor& v, const LambTensors& tensors, const Tensor& ratios,
                  const StepValue<LambStep>& step) {
  if (tensors.chunks().size() == 0) return;
  cuda::launch(step_kernel<T>, static_cast<unsigned>(tensors.chunks().size()), cuda::block_size, 0, cuda::stream(),
               tensors.chunks().on_device(), p.data<T>(), m.data<T>(), v.data<T>(), ratios.data<double>(),
               step.on_device());
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(lamb_moments, lamb_moments_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(lamb_step, lamb_step_of);

}  // namespace actgrad::kernels
