// How kernels are launched. One source serves two compilers: nvcc, and the C++ compiler with the host emulator of
// the CUDA execution model (docs/cuda_emulator.md). So kernels are written without <<<>>> and extern __shared__:
//
//   __global__ void scale(float* x, float factor, int n) {
//     ACTGRAD_DYNAMIC_SHARED(float, tile);  // only if the kernel uses dynamic shared memory
//     …
//   }
//   cuda::launch(scale, (n + 255) / 256, 256, shared_bytes, stream, x, 2.0f, n);
#pragma once

#include <cuda_runtime.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>
#include <type_traits>

#include "core/error.h"

// Checks the status of a CUDA runtime call: ACTGRAD_CUDA_CHECK(cudaMalloc(&pointer, bytes)). Throws InternalError with
// file, line, the call, and the runtime's explanation.
#define ACTGRAD_CUDA_CHECK(call) ::actgrad::cuda::check((call), #call, __FILE__, __LINE__)

// Declares `name`, a pointer to the dynamic shared memory of the block, aligned to 16 bytes. At most once per kernel.
#ifdef ACTGRAD_CUDA_EMULATOR
#define ACTGRAD_DYNAMIC_SHARED(type, name) \
  type* const name = static_cast<type*>(::actgrad::cuda_emulator::dynamic_shared())
#else
// One array of bytes for all kernels: nvcc rejects arrays of the same name and different types.
#define ACTGRAD_DYNAMIC_SHARED(type, name)                                       \
  extern __shared__ __align__(16) unsigned char actgrad_dynamic_shared_memory[]; \
  type* const name = reinterpret_cast<type*>(actgrad_dynamic_shared_memory)
#endif

namespace actgrad::cuda {

// See ACTGRAD_CUDA_CHECK.
inline void check(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  throw InternalError(std::string(file) + ":" + std::to_string(line) + ": " + call + ": " + cudaGetErrorName(status) +
                      ", " + cudaGetErrorString(status));
}

// Kernels given to the device so far; a call of a library counts as one.
inline std::atomic<std::uint64_t> launches{0};
inline void count_launch() {
  launches.fetch_add(1, std::memory_order_relaxed);
}

// The number of blocks (a dim3 or an integer), and the place where it was written: that of the launch.
struct Grid {
  Grid(dim3 blocks, std::source_location where = std::source_location::current()) : size(blocks), place(where) {}
  Grid(unsigned blocks, std::source_location where = std::source_location::current()) : size(blocks), place(where) {}

  dim3 size;
  std::source_location place;
};

// Runs kernel(arguments…) on `grid` blocks of `block` threads with `shared_bytes` of dynamic shared memory, in
// `stream`. The arguments are converted to the kernel's parameter types and copied. Throws InternalError with file and
// line if the launch is refused; errors while the kernel runs appear at a later call, except in the emulator, which
// throws here.
template <class... Parameters>
void launch(void (*kernel)(Parameters...), Grid grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream,
            std::type_identity_t<Parameters>... arguments) {
  static_assert((std::is_trivially_copyable_v<Parameters> && ...), "kernel arguments are copied byte by byte");
#ifdef ACTGRAD_CUDA_EMULATOR
  const cudaError_t status =
      cuda_emulator::launch(cuda_emulator::Shape{grid.size, block, shared_bytes}, stream, kernel, arguments...);
#else
  void* addresses[] = {const_cast<void*>(static_cast<const void*>(&arguments))..., nullptr};
  const cudaError_t status =
      cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid.size, block, addresses, shared_bytes, stream);
#endif
  count_launch();
  check(status, "kernel launch", grid.place.file_name(), static_cast<int>(grid.place.line()));
}

}  // namespace actgrad::cuda
