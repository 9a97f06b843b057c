// Matrices (rows, columns) whose columns are summed, or have numbers of their own: a bias, statistics.
#pragma once

#include "kernels/cuda/group.cuh"

namespace actgrad::cuda {

// A matrix cut into rectangles, one per block. threadIdx.x has `width` neighbouring columns, threadIdx.y every
// blockDim.y-th row: a warp reads long runs of memory, and a thread keeps what belongs to its columns in registers. How
// the matrix is cut depends on its shape alone, and so does the order of every sum.
struct ColumnTiles {
  std::int64_t rows, columns, rows_per_block;
  int width;
  dim3 block, grid;  // grid.x: column tiles; grid.y: row ranges

  ColumnTiles(std::int64_t of_rows, std::int64_t of_columns, int of_width)
      : rows(of_rows), columns(of_columns), width(of_width) {
    constexpr std::int64_t elements_per_block = 4096, most_ranges = 1024;
    const std::int64_t groups = (columns + width - 1) / width, tiles = std::max<std::int64_t>(1, (groups + 31) / 32);
    block.x = static_cast<unsigned>(std::max<std::int64_t>(1, (groups + tiles - 1) / tiles));
    block.y = power_of_two_up_to(block_size / block.x);
    const std::int64_t tile_columns = std::int64_t{block.x} * width;
    rows_per_block =
        std::max((elements_per_block + tile_columns - 1) / tile_columns, (rows + most_ranges - 1) / most_ranges);
    grid.x = static_cast<unsigned>(tiles);
    grid.y = static_cast<unsigned>(std::max<std::int64_t>(1, (rows + rows_per_block - 1) / rows_per_block));
  }

  int row_ranges() const { return static_cast<int>(grid.y); }

  static unsigned power_of_two_up_to(unsigned n) {
    unsigned power = 1;
    while (2 * power <= n) power *= 2;
    return power;
  }

  // The calling thread's first column (outside of the matrix in the last tile's idle threads), and its block's rows.
  __device__ std::int64_t column() const { return (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * width; }
  __device__ std::int64_t begin(unsigned range) const { return range * rows_per_block; }
  __device__ std::int64_t end(unsigned range) const { return std::min(rows, (range + 1) * rows_per_block); }

  // f(offset of the thread's columns in the matrix) for each of its rows.
  template <class F>
  __device__ void for_each_row(const F& f) const {
    const std::int64_t c = column(), last = end(blockIdx.y);
    if (c >= columns) return;
#pragma unroll 4
    for (std::int64_t r = begin(blockIdx.y) + threadIdx.y; r < last; r += blockDim.y) f(r * columns + c);
  }
};

// Adds values[i] over the threads of the block that have the same threadIdx.x; all of them get the sum. blockDim.y must
// be a power of two, the block at most block_size threads; all threads must call it.
template <int Count>
__device__ void sum_over_y(double (&values)[Count]) {
  __shared__ double of_thread[Count][block_size];
  const unsigned own = threadIdx.y * blockDim.x + threadIdx.x;
  __syncthreads();  // an earlier sum may still be read
  for (int i = 0; i < Count; ++i) of_thread[i][own] = values[i];
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half)
      for (int i = 0; i < Count; ++i) of_thread[i][own] += of_thread[i][own + half * blockDim.x];
  }
  __syncthreads();
  for (int i = 0; i < Count; ++i) values[i] = of_thread[i][threadIdx.x];
}

// Partial sums of the row ranges: element (range, s, c) of a matrix (ranges, Sums, columns).
template <int Sums>
__device__ std::int64_t partial_index(std::int64_t columns, unsigned range, int s, std::int64_t c) {
  return (std::int64_t{range} * Sums + s) * columns + c;
}

// The shape of a launch whose threadIdx.x is a column and whose threadIdx.y strides over the row ranges.
struct TotalsShape {
  dim3 block, grid;
  TotalsShape(std::int64_t columns, int row_ranges) {
    block.y = ColumnTiles::power_of_two_up_to(static_cast<unsigned>(std::min(row_ranges, 64)));
    block.x = static_cast<unsigned>(block_size) / block.y;
    grid.x = static_cast<unsigned>((columns + block.x - 1) / block.x);
  }
};

template <int Sums, class Finish>
__global__ void column_totals_kernel(std::int64_t columns, unsigned row_ranges, const double* partial, Finish finish) {
  const std::int64_t c = first_element();
  double totals[Sums] = {};
  if (c < columns)
    for (unsigned range = threadIdx.y; range < row_ranges; range += blockDim.y)
      for (int s = 0; s < Sums; ++s) totals[s] += partial[partial_index<Sums>(columns, range, s, c)];
  sum_over_y(totals);
  if (threadIdx.y == 0 && c < columns) finish(c, totals);
}

// finish(c, totals) on the device, totals[s] = Σ_range partial[range, s, c].
template <int Sums, class Finish>
void column_totals(const ColumnTiles& tiles, const double* partial, const Finish& finish) {
  const TotalsShape shape(tiles.columns, tiles.row_ranges());
  launch(column_totals_kernel<Sums, Finish>, shape.grid, shape.block, 0, stream(), tiles.columns, tiles.grid.y, partial,
         finish);
}

inline Tensor partial_sums(const ColumnTiles& tiles, int sums) {
  return Tensor::empty({tiles.row_ranges(), sums, tiles.columns}, DType::float64, this_device());
}

template <int Width, class T, class Term>
__global__ void column_sums_kernel(ColumnTiles tiles, const T* x, Term term, double* partial) {
  double sums[Width] = {};
  tiles.for_each_row([&](std::int64_t at) {
    const auto group = Group<T, Width>::load(x + at);
    for (int i = 0; i < Width; ++i) sums[i] += term(static_cast<double>(group[i]));
  });
  sum_over_y(sums);
  const std::int64_t c = tiles.column();
  if (threadIdx.y == 0 && c < tiles.columns)
    for (int i = 0; i < Width; ++i) partial[partial_index<1>(tiles.columns, blockIdx.y, 0, c + i)] = sums[i];
}

// finish(c, Σ_r term(x[r, c])) on the device for every column of x (rows, columns). Sums are taken in double.
template <class T, class Term, class Finish>
void sum_columns(const T* x, std::int64_t rows, std::int64_t columns, const Term& term, const Finish& finish) {
  if (columns == 0) return;
  const bool wide_rows = fits_wide<T>(columns, {x});
  const ColumnTiles tiles(rows, columns, wide_rows ? wide<T> : 1);
  const Tensor partial = partial_sums(tiles, 1);
  launch(wide_rows ? column_sums_kernel<wide<T>, T, Term> : column_sums_kernel<1, T, Term>, tiles.grid, tiles.block, 0,
         stream(), tiles, x, term, partial.data<double>());
  column_totals<1>(tiles, partial.data<double>(),
                   [=] __device__(std::int64_t c, const double(&total)[1]) { finish(c, total[0]); });
}

}  // namespace actgrad::cuda
