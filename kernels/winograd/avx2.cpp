// Winograd tiles with AVX2 and FMA: 8 floats per vector, 16 registers.
#define ACTGRAD_ISA avx2
#define ACTGRAD_ISA_NAME "avx2"
#define ACTGRAD_LANES 8
// 12 accumulators, beside the row of u and one factor; the gradient's rows must divide 16.
#define ACTGRAD_CUTS \
  {6, 2}, {6, 2}, {  \
    6, 2             \
  }
#define ACTGRAD_GRADIENT_CUTS \
  {4, 2}, {4, 2}, {           \
    4, 2                      \
  }

#if defined(__AVX2__) && defined(__FMA__)
#include "kernels/winograd/tile_kernels.inc"

namespace actgrad::kernels::winograd::avx2 {
const TileKernels* tile_kernels(int m) {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return nullptr;
  return m == 2 ? &table<2> : &table<4>;
}
}  // namespace actgrad::kernels::winograd::avx2
#else
#include "kernels/winograd/tile_kernels.h"

namespace actgrad::kernels::winograd::avx2 {
const TileKernels* tile_kernels(int) {
  return nullptr;
}
}  // namespace actgrad::kernels::winograd::avx2
#endif
