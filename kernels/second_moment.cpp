#include "kernels/second_moment.h"

#include <algorithm>

#include "kernels/dispatch.h"
#include "kernels/registry.h"
#include "kernels/windows.h"

namespace actgrad::kernels {
namespace {

// What is averaged.
struct Square {
  template <class T>
  static T of(T value) {
    return value * value;
  }
};
struct Itself {
  template <class T>
  static T of(T value) {
    return value;
  }
};

// sums[j] += Σ_r Power::of(x[r, j]) for the rows of x (rows, columns), eight at a time so that the sums are loaded and
// stored seldom.
template <class Power, class T>
void add_rows(const T* x, std::int64_t rows, std::int64_t columns, T* sums) {
  constexpr std::int64_t block = 8;
  std::int64_t r = 0;
  for (; r + block <= rows; r += block) {
    const T* const a = x + r * columns;
    for (std::int64_t j = 0; j < columns; ++j) {
      T sum = sums[j];
      for (std::int64_t k = 0; k < block; ++k) sum += Power::of(a[k * columns + j]);
      sums[j] = sum;
    }
  }
  for (; r < rows; ++r)
    for (std::int64_t j = 0; j < columns; ++j) sums[j] += Power::of(x[r * columns + j]);
}

// sums[j] = Σ_r Power::of(x[r, j]) for x (rows, columns). Each thread takes a range of rows from its beginning: the
// layer before has written x in the same ranges from their ends, so that much of it is still in the thread's cache.
template <class Power, class T>
void sum_columns(const T* x, std::int64_t rows, std::int64_t columns, T* sums) {
  const std::int64_t grain = std::max<std::int64_t>(8, 65536 / std::max<std::int64_t>(columns, 1));
  const std::int64_t parts = threads_for(rows, grain);
  Tensor scratch = Tensor::zeros({parts, columns}, dtype_of<T>::value);
  T* const of_part = scratch.data<T>();
  parallel_for(rows, grain, [&](Range range, int part) {
    add_rows<Power>(x + range.begin * columns, range.end - range.begin, columns, of_part + part * columns);
  });
  std::copy(of_part, of_part + columns, sums);
  for (std::int64_t part = 1; part < parts; ++part)
    for (std::int64_t j = 0; j < columns; ++j) sums[j] += of_part[part * columns + j];
}

void check_moment(const Tensor& x, const Tensor& result) {
  ACTGRAD_CHECK(result.shape() == (Shape{1, x.dim(-1)}), result.shape().to_string());
}
void check_moment(const Conv2dGeometry& g, const Tensor& x, const Tensor& result) {
  ACTGRAD_CHECK(x.shape() == g.input_shape(), x.shape().to_string());
  ACTGRAD_CHECK(result.shape() == (Shape{g.groups, g.patch_size()}), result.shape().to_string());
}

template <class Power>
void moment(const Tensor& x, Tensor& result) {
  const std::int64_t columns = x.dim(-1), rows = columns ? x.numel() / columns : 0;
  visit_floating(x.dtype(), [&]<class T>() {
    T* sums = result.data<T>();
    sum_columns<Power>(x.data<T>(), rows, columns, sums);
    for (std::int64_t j = 0; j < columns; ++j) sums[j] /= static_cast<T>(rows);
  });
}

template <class Power>
void patch_moment(const Conv2dGeometry& g, const Tensor& x, Tensor& result) {
  visit_floating(x.dtype(), [&]<class T>() {
    const Tensor image = Tensor::empty({g.height, g.width, g.in_channels}, x.dtype());
    T* const q = image.data<T>();
    sum_columns<Power>(x.data<T>(), g.batch, image.numel(), q);

    const Tensor scratch = Tensor::empty({g.width + 1, g.in_channels}, DType::float64);
    const double factor = 1.0 / static_cast<double>(g.batch * g.out_height() * g.out_width());
    sum_windows(g, q, scratch.data<double>(),
                [&](std::int64_t group, std::int64_t column, const double* sums, std::int64_t count) {
                  T* const to = result.data<T>() + group * g.patch_size() + column;
                  for (std::int64_t c = 0; c < count; ++c) to[c] = static_cast<T>(sums[c] * factor);
                });
  });
}

}  // namespace

void second_moment(const Tensor& x, Tensor& result) {
  check_moment(x, result);
  ACTGRAD_DISPATCH(second_moment, x, x, result);
  moment<Square>(x, result);
}

void first_moment(const Tensor& x, Tensor& result) {
  check_moment(x, result);
  ACTGRAD_DISPATCH(first_moment, x, x, result);
  moment<Itself>(x, result);
}

void patch_second_moment(const Conv2dGeometry& g, const Tensor& x, Tensor& result) {
  check_moment(g, x, result);
  ACTGRAD_DISPATCH(patch_second_moment, x, g, x, result);
  patch_moment<Square>(g, x, result);
}

void patch_first_moment(const Conv2dGeometry& g, const Tensor& x, Tensor& result) {
  check_moment(g, x, result);
  ACTGRAD_DISPATCH(patch_first_moment, x, g, x, result);
  patch_moment<Itself>(g, x, result);
}

}  // namespace actgrad::kernels
