// The arithmetic of Winograd convolution on blocks of tiles, compiled once per instruction set (tile_kernels.inc) and
// chosen when the program runs. What to compute in which order is ../conv2d_winograd.cpp's business.
//
// A tile is M×M output pixels; its window is the n×n input pixels that they depend on, n = M + 2. After the transforms
// all arithmetic happens position by position: there are n² positions, and at each one the windows of a block are a
// matrix (tiles, channels). Such a block lies in memory as
//
//   block[position · stride + tile · channels + channel]
//
// with a stride a little above tiles · channels, so that the positions do not fall into the same cache sets.
#pragma once

#include <cstdint>

namespace actgrad::kernels::winograd {

// NHWC images, or a slice of their channels: pixel (i, y, x) begins at data + ((i·height + y)·width + x)·channels.
struct Images {
  float* data;
  std::int64_t height, width, channels;
};

// How tiles cover images. Tiles are numbered by image, row, column.
struct Tiling {
  std::int64_t rows, columns;  // of tiles per image
  std::int64_t padding = 0;    // zeros around the images: the window of tile (r, c) begins at (M·r − padding, …)
};

struct Tiles {
  std::int64_t first, count;
};

// Memory that will be needed soon. It is asked for bit by bit between the products, so that it arrives meanwhile.
struct Span {
  const float* begin = nullptr;
  std::int64_t size = 0;
};
struct Ahead {
  Span first, second;
};

// All channel counts are multiples of 16.
struct TileKernels {
  const char* instruction_set;
  int m;                                                  // M
  std::int64_t (*tiles_per_call)(std::int64_t channels);  // `multiply` works on so many tiles at once, rounding up
  std::int64_t (*panel)(std::int64_t channels);           // output channels per panel of u

  // v = Bᵀ d B: the windows of x, zero outside of the images.
  void (*input)(const Images& x, const Tiling& tiling, Tiles tiles, std::int64_t channels, float* v,
                std::int64_t stride);
  // z: the M×M tiles of dy, zero outside, times the powers of the points (transforms.h: output_gradient).
  void (*output_gradient)(const Images& dy, const Tiling& tiling, Tiles tiles, std::int64_t channels, float* z,
                          std::int64_t stride);
  // u = G g Gᵀ of the taps g[tap·tap_step + k·k_step + n], tap = 3·ky + kx, for k < inputs and n < outputs, laid out
  // as u[position][n / panel][k][n % panel].
  void (*taps)(const float* g, std::int64_t tap_step, std::int64_t k_step, std::int64_t inputs, std::int64_t outputs,
               float* u);
  // m = v·u at every position, or added to m. m may be v if `outputs` is one panel.
  void (*multiply)(const float* v, std::int64_t v_stride, const float* u, std::int64_t tiles, std::int64_t inputs,
                   std::int64_t outputs, float* m, std::int64_t m_stride, bool add, const Ahead& ahead);
  // y = Aᵀ m A, the pixels that lie in the images: plus bias, unless null; added to y, or written.
  void (*output)(const float* m, std::int64_t stride, const Tiling& tiling, Tiles tiles, std::int64_t channels,
                 const float* bias, const Images& y, bool add);
  // p[position][n][k] = Σ over tiles of z[tile, n]·v[tile, k], or added to p.
  void (*multiply_gradient)(const float* z, std::int64_t z_stride, const float* v, std::int64_t v_stride,
                            std::int64_t tiles, std::int64_t outputs, std::int64_t inputs, float* p, bool add,
                            const Ahead& ahead);
  // dg[n·n_step + tap·tap_step + k], or added to it, from the sum of `parts` such p, part_step apart, for row n only.
  void (*taps_gradient)(const float* p, std::int64_t parts, std::int64_t part_step, std::int64_t outputs,
                        std::int64_t inputs, std::int64_t n, float* dg, std::int64_t n_step, std::int64_t tap_step,
                        bool add);
};

// The kernels for M = 2 or 4 of each instruction set; null where the program was built without or the processor lacks
// it. The portable ones always exist.
namespace avx512 {
const TileKernels* tile_kernels(int m);
}
namespace avx2 {
const TileKernels* tile_kernels(int m);
}
namespace portable {
const TileKernels* tile_kernels(int m);
}

// Those with the widest vectors that this processor has.
const TileKernels& best_tile_kernels(int m);

}  // namespace actgrad::kernels::winograd
