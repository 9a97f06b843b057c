// Small matrix products on blocks of 64 coordinates: a network of a few units, applied to each of them. Vector lanes
// run along the coordinates, so no width of the network leaves lanes idle; a block and the weights stay in the cache.
#pragma once

#include <algorithm>

#include "kernels/pack.h"
#include "kernels/tile.h"

namespace actgrad::kernels {

inline constexpr std::int64_t coordinate_block = 64;
// Rows and packs of a register tile: their sums, and what is multiplied, fit the machine's registers.
inline constexpr int block_rows = 5, block_packs = pack_bytes == 64 ? 4 : 2;

// y (rows, 64) = w (rows, depth) · x (depth, 64) + bias (rows), or without: null. rows: a multiple of 5.
template <class T>
void block_product(std::int64_t rows, std::int64_t depth, const T* w, const T* bias, const T* x, T* y) {
  using P = Pack<T>;
  constexpr std::int64_t width = lanes<P, T>, columns = block_packs * width;
  for (std::int64_t first = 0; first < coordinate_block; first += columns) {
    for (std::int64_t row = 0; row < rows; row += block_rows) {
      Tile<P, block_rows, block_packs> tile;
      tile.for_each([&](P& sum, int r, int) { sum = P{} + (bias ? bias[row + r] : T(0)); });
      for (std::int64_t k = 0; k < depth; ++k) {
        P in[block_packs];
        for (int p = 0; p < block_packs; ++p) in[p] = load<P>(x + k * coordinate_block + first + p * width);
        tile.for_each([&](P& sum, int r, int p) { sum += w[(row + r) * depth + k] * in[p]; });
      }
      tile.for_each([&](P& sum, int r, int p) { store(y + (row + r) * coordinate_block + first + p * width, sum); });
    }
  }
}

// How many elements a row of sums has for `columns` inputs and a one behind them: a multiple of three packs.
template <class T>
constexpr std::int64_t padded_columns(std::int64_t columns) {
  const std::int64_t unit = 3 * std::max<std::int64_t>(lanes<Pack<T>, T>, 8);
  return (columns + 1 + unit - 1) / unit * unit;
}

// xt (64, padded) = x (columns, 64) transposed, then a column of ones, whose products are the gradient of a bias; the
// rest stays as it is.
template <class T>
void transpose_block(std::int64_t columns, const T* x, std::int64_t padded, T* xt) {
  for (std::int64_t i = 0; i < coordinate_block; ++i) {
    for (std::int64_t k = 0; k < columns; ++k) xt[i * padded + k] = x[k * coordinate_block + i];
    xt[i * padded + columns] = T(1);
  }
}

// sums (rows, padded) += dy (rows, 64) · xt (64, padded). rows: a multiple of 5.
template <class T>
void add_outer_products(std::int64_t rows, const T* dy, std::int64_t padded, const T* xt, T* sums) {
  using P = Pack<T>;
  constexpr int packs = 3;
  constexpr std::int64_t width = lanes<P, T>;
  for (std::int64_t first = 0; first < padded; first += packs * width)
    for (std::int64_t row = 0; row < rows; row += block_rows) {
      Tile<P, block_rows, packs> tile;
      tile.for_each([&](P& sum, int r, int p) { sum = load<P>(sums + (row + r) * padded + first + p * width); });
      for (std::int64_t i = 0; i < coordinate_block; ++i) {
        P in[packs];
        for (int p = 0; p < packs; ++p) in[p] = load<P>(xt + i * padded + first + p * width);
        tile.for_each([&](P& sum, int r, int p) { sum += dy[(row + r) * coordinate_block + i] * in[p]; });
      }
      tile.for_each([&](P& sum, int r, int p) { store(sums + (row + r) * padded + first + p * width, sum); });
    }
}

// Σ a·b over the 64 coordinates of a row.
template <class T>
double block_dot(const T* a, const T* b) {
  using P = Pack<T>;
  constexpr std::int64_t width = lanes<P, T>;
  P sum{};
  for (std::int64_t i = 0; i < coordinate_block; i += width) sum += load<P>(a + i) * load<P>(b + i);
  double total = 0;
  for (std::int64_t lane = 0; lane < width; ++lane) total += static_cast<double>(sum[lane]);
  return total;
}

}  // namespace actgrad::kernels
