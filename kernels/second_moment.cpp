#include "kernels/second_moment.h"

#include <algorithm>

#include "kernels/dispatch.h"
#include "kernels/parallel.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

// sums[j] += Σ_r x[r, j]² for the rows of x (rows, columns), eight at a time so that the sums are loaded and stored
// seldom.
template <class T>
void add_squares(const T* x, std::int64_t rows, std::int64_t columns, T* sums) {
  constexpr std::int64_t block = 8;
  std::int64_t r = 0;
  for (; r + block <= rows; r += block) {
    const T* const a = x + r * columns;
    for (std::int64_t j = 0; j < columns; ++j) {
      T sum = sums[j];
      for (std::int64_t k = 0; k < block; ++k) sum += a[k * columns + j] * a[k * columns + j];
      sums[j] = sum;
    }
  }
  for (; r < rows; ++r)
    for (std::int64_t j = 0; j < columns; ++j) sums[j] += x[r * columns + j] * x[r * columns + j];
}

// sums[j] = Σ_r x[r, j]² for x (rows, columns). Each thread takes a range of rows from its beginning: the layer before
// has written x in the same ranges from their ends, so that much of it is still in the thread's cache.
template <class T>
void sum_squares_of_columns(const T* x, std::int64_t rows, std::int64_t columns, T* sums) {
  const std::int64_t grain = std::max<std::int64_t>(8, 65536 / std::max<std::int64_t>(columns, 1));
  const std::int64_t parts = threads_for(rows, grain);
  Tensor scratch = Tensor::zeros({parts, columns}, dtype_of<T>::value);
  T* const of_part = scratch.data<T>();
  parallel_for(rows, grain, [&](Range range, int part) {
    add_squares(x + range.begin * columns, range.end - range.begin, columns, of_part + part * columns);
  });
  std::copy(of_part, of_part + columns, sums);
  for (std::int64_t part = 1; part < parts; ++part)
    for (std::int64_t j = 0; j < columns; ++j) sums[j] += of_part[part * columns + j];
}

// The output positions whose input coordinate o·stride + offset lies in [0, size).
Range valid_outputs(std::int64_t offset, std::int64_t stride, std::int64_t size, std::int64_t outputs) {
  const std::int64_t begin = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const std::int64_t end = offset >= size ? 0 : (size - 1 - offset) / stride + 1;
  return {std::min(begin, outputs), std::min(end, outputs)};
}

}  // namespace

void second_moment(const Tensor& x, Tensor& result) {
  const std::int64_t columns = x.dim(-1), rows = columns ? x.numel() / columns : 0;
  ACTGRAD_CHECK(result.shape() == (Shape{1, columns}), result.shape().to_string());
  ACTGRAD_DISPATCH(second_moment, x, x, result);
  visit_floating(x.dtype(), [&]<class T>() {
    T* sums = result.data<T>();
    sum_squares_of_columns(x.data<T>(), rows, columns, sums);
    for (std::int64_t j = 0; j < columns; ++j) sums[j] /= static_cast<T>(rows);
  });
}

void patch_second_moment(const Conv2dGeometry& g, const Tensor& x, Tensor& result) {
  ACTGRAD_CHECK(x.shape() == g.input_shape(), x.shape().to_string());
  ACTGRAD_CHECK(result.shape() == (Shape{g.groups, g.patch_size()}), result.shape().to_string());
  const std::int64_t row = g.width * g.in_channels;
  ACTGRAD_DISPATCH(patch_second_moment, x, g, x, result);
  visit_floating(x.dtype(), [&]<class T>() {
    Tensor squares = Tensor::empty({g.height, g.width, g.in_channels}, x.dtype());
    T* q = squares.data<T>();
    sum_squares_of_columns(x.data<T>(), g.batch, g.height * row, q);

    // The window of (ky, kx) is a product of row and column ranges: rows are summed first, once per ky.
    Tensor row_sums = Tensor::empty({row}, DType::float64), sums = Tensor::empty({g.in_channels}, DType::float64);
    double *rows = row_sums.data<double>(), *total = sums.data<double>();
    const double factor = 1.0 / static_cast<double>(g.batch * g.out_height() * g.out_width());
    for (std::int64_t ky = 0; ky < g.kernel_h; ++ky) {
      std::fill(rows, rows + row, 0.0);
      const std::int64_t y0 = ky * g.dilation - g.padding;
      const Range ys = valid_outputs(y0, g.stride, g.height, g.out_height());
      for (std::int64_t oy = ys.begin; oy < ys.end; ++oy) {
        const T* line = q + (oy * g.stride + y0) * row;
        for (std::int64_t j = 0; j < row; ++j) rows[j] += static_cast<double>(line[j]);
      }
      for (std::int64_t kx = 0; kx < g.kernel_w; ++kx) {
        std::fill(total, total + g.in_channels, 0.0);
        const std::int64_t x0 = kx * g.dilation - g.padding;
        const Range xs = valid_outputs(x0, g.stride, g.width, g.out_width());
        for (std::int64_t ox = xs.begin; ox < xs.end; ++ox) {
          const double* pixel = rows + (ox * g.stride + x0) * g.in_channels;
          for (std::int64_t c = 0; c < g.in_channels; ++c) total[c] += pixel[c];
        }
        for (std::int64_t group = 0; group < g.groups; ++group) {
          T* to = result.data<T>() + group * g.patch_size() + (ky * g.kernel_w + kx) * g.group_in();
          for (std::int64_t i = 0; i < g.group_in(); ++i)
            to[i] = static_cast<T>(total[group * g.group_in() + i] * factor);
        }
      }
    }
  });
}

}  // namespace actgrad::kernels
