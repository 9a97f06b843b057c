// Winograd tiles for any processor: 4 floats per vector (SSE2, NEON), for which compilers have instructions everywhere.
#define ACTGRAD_ISA portable
#define ACTGRAD_ISA_NAME "portable"
#define ACTGRAD_LANES 4
#define ACTGRAD_CUTS \
  {3, 4}, {3, 4}, {  \
    3, 4             \
  }
#define ACTGRAD_GRADIENT_CUTS \
  {2, 4}, {2, 4}, {           \
    2, 4                      \
  }
#include <initializer_list>

#include "kernels/winograd/tile_kernels.inc"

namespace actgrad::kernels::winograd {

const TileKernels* portable::tile_kernels(int m) {
  return m == 2 ? &table<2> : &table<4>;
}

const TileKernels& best_tile_kernels(int m) {
  for (const TileKernels* kernels : {avx512::tile_kernels(m), avx2::tile_kernels(m)})
    if (kernels) return *kernels;
  return *portable::tile_kernels(m);
}

}  // namespace actgrad::kernels::winograd
