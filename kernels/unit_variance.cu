#include "kernels/unit_variance.h"

#include "kernels/cuda/runtime.h"
#include "kernels/formulas.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

// One thread per unit, so that a warp reads neighbours.
template <class T>
__global__ void variances_kernel(std::int64_t samples, std::int64_t units, const T* x, double* variances) {
  for (std::int64_t j = cuda::first_element(); j < units; j += cuda::element_step()) {
    const double origin = static_cast<double>(x[j]), count = static_cast<double>(samples);
    double sum = 0, squares = 0;
    for (std::int64_t n = 0; n < samples; ++n) {
      const double d = static_cast<double>(x[n * units + j]) - origin;
      sum += d;
      squares += d * d;
    }
    variances[j] = formulas::moments_around(0, count, sum, squares).squares / count;
  }
}

// One block: mean, smallest and largest.
__global__ void spread_kernel(std::int64_t units, const double* variances, double* result) {
  __shared__ double sums[cuda::block_size], smallest[cuda::block_size], largest[cuda::block_size];
  double sum = 0, low = variances[0], high = variances[0];
  for (std::int64_t j = threadIdx.x; j < units; j += blockDim.x) {
    const double v = variances[j];
    sum += v;
    low = v < low ? v : low;
    high = v > high ? v : high;
  }
  sums[threadIdx.x] = sum;
  smallest[threadIdx.x] = low;
  largest[threadIdx.x] = high;
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x >= half) continue;
    const unsigned other = threadIdx.x + half;
    sums[threadIdx.x] += sums[other];
    smallest[threadIdx.x] = smallest[other] < smallest[threadIdx.x] ? smallest[other] : smallest[threadIdx.x];
    largest[threadIdx.x] = largest[other] > largest[threadIdx.x] ? largest[other] : largest[threadIdx.x];
  }
  if (threadIdx.x != 0) return;
  result[0] = sums[0] / static_cast<double>(units);
  result[1] = smallest[0];
  result[2] = largest[0];
}

template <class T>
void unit_variance_of(const Tensor& x, Tensor& result) {
  const std::int64_t samples = x.dim(0), units = x.numel() / samples;
  const Tensor variances = Tensor::empty({units}, DType::float64, x.device());
  cuda::launch(variances_kernel<T>, cuda::blocks_for(units), cuda::block_size, 0, cuda::stream(), samples, units,
               x.data<T>(), variances.data<double>());
  cuda::launch(spread_kernel, 1u, cuda::block_size, 0, cuda::stream(), units, variances.data<double>(),
               result.data<double>());
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(unit_variance, unit_variance_of);

}  // namespace actgrad::kernels
