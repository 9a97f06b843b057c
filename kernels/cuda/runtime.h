// What the CUDA halves of the kernels share: where work goes, and how large a launch should be.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/tensor.h"
#include "kernels/cuda/launch.h"

namespace actgrad::cuda {

// The stream that all work of the current device goes to, in order. Not the default stream, so that it can be captured.
cudaStream_t stream();

int current_device();
inline Device this_device() {
  return {Device::Kind::cuda, current_device()};
}
int multiprocessors();  // of the current device

inline constexpr int block_size = 256;

// Blocks of `threads_per_block` threads for n threads in all: no more than keep the device busy; kernels stride over
// the rest.
inline unsigned blocks_for(std::int64_t n, int threads_per_block = block_size) {
  const std::int64_t wanted = (n + threads_per_block - 1) / threads_per_block;
  return static_cast<unsigned>(std::clamp<std::int64_t>(wanted, 1, 16 * std::int64_t{multiprocessors()}));
}

#if defined(__CUDACC__) || defined(ACTGRAD_CUDA_EMULATOR)
// The first element of this thread, and the step to its next one.
__device__ inline std::int64_t first_element() {
  return std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}
__device__ inline std::int64_t element_step() {
  return std::int64_t{gridDim.x} * blockDim.x;
}
#endif

}  // namespace actgrad::cuda
