// A number per column of a matrix: added to every row, and its gradient.
#pragma once

#include "kernels/cuda/columns.cuh"

namespace actgrad::cuda {

template <int Width, class T>
__global__ void bias_kernel(ColumnTiles tiles, const T* bias, T* y, bool accumulate) {
  const std::int64_t c = tiles.column();
  Group<T, Width> own = {};
  if (c < tiles.columns)
    for (int i = 0; i < Width; ++i) own[i] = bias[c + i];
  tiles.for_each_row([&](std::int64_t at) {
    Group<T, Width> row = own;
    if (accumulate) {
      row = Group<T, Width>::load(y + at);
      for (int i = 0; i < Width; ++i) row[i] += own[i];
    }
    row.store(y + at);
  });
}

template <class T>
void write_bias(T* y, const T* bias, std::int64_t rows, std::int64_t columns, bool accumulate) {
  if (rows == 0 || columns == 0) return;
  const bool wide_rows = fits_wide<T>(columns, {y});
  const ColumnTiles tiles(rows, columns, wide_rows ? wide<T> : 1);
  launch(wide_rows ? bias_kernel<wide<T>, T> : bias_kernel<1, T>, tiles.grid, tiles.block, 0, stream(), tiles, bias, y,
         accumulate);
}

// y (rows, columns) += bias (columns), in every row.
template <class T>
void add_bias(T* y, const T* bias, std::int64_t rows, std::int64_t columns) {
  write_bias(y, bias, rows, columns, true);
}

// Every row of y (rows, columns) = bias (columns).
template <class T>
void spread_bias(const T* bias, std::int64_t rows, std::int64_t columns, T* y) {
  write_bias(y, bias, rows, columns, false);
}

// db (columns) = Σ rows of dy (rows, columns), or db += it. Summed in double, rounded once.
template <class T>
void bias_gradient(const T* dy, std::int64_t rows, std::int64_t columns, T* db, bool accumulate) {
  sum_columns(
      dy, rows, columns, [] __device__(double v) { return v; },
      [=] __device__(std::int64_t c, double total) {
        db[c] = static_cast<T>(accumulate ? static_cast<double>(db[c]) + total : total);
      });
}

}  // namespace actgrad::cuda
