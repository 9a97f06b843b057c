#include "kernels/second_moment.h"

#include <algorithm>

#include "kernels/dispatch.h"
#include "kernels/registry.h"
#include "kernels/windows.h"

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

    const Tensor scratch = Tensor::empty({g.width + 1, g.in_channels}, DType::float64);
    const double factor = 1.0 / static_cast<double>(g.batch * g.out_height() * g.out_width());
    sum_windows(g, q, scratch.data<double>(),
                [&](std::int64_t group, std::int64_t column, const double* sums, std::int64_t count) {
                  T* const to = result.data<T>() + group * g.patch_size() + column;
                  for (std::int64_t c = 0; c < count; ++c) to[c] = static_cast<T>(sums[c] * factor);
                });
  });
}

}  // namespace actgrad::kernels
