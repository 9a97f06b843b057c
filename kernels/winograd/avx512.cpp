// Winograd tiles with AVX-512: 16 floats per vector, 32 registers.
#define ACTGRAD_ISA avx512
#define ACTGRAD_ISA_NAME "avx512"
#define ACTGRAD_LANES 16
// 24, 24 and 16 accumulators, beside the row of u and one factor.
#define ACTGRAD_CUTS \
  {6, 4}, {12, 2}, { \
    16, 1            \
  }
#define ACTGRAD_GRADIENT_CUTS \
  {4, 4}, {8, 2}, {           \
    16, 1                     \
  }

#ifdef __AVX512F__
#include "kernels/winograd/tile_kernels.inc"

namespace actgrad::kernels::winograd::avx512 {
const TileKernels* tile_kernels(int m) {
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
    return nullptr;
  return m == 2 ? &table<2> : &table<4>;
}
}  // namespace actgrad::kernels::winograd::avx512
#else
#include "kernels/winograd/tile_kernels.h"

namespace actgrad::kernels::winograd::avx512 {
const TileKernels* tile_kernels(int) {
  return nullptr;
}
}  // namespace actgrad::kernels::winograd::avx512
#endif
