#include "kernels/covariance.h"

#include <algorithm>

#include "kernels/covariance_paths.h"
#include "kernels/cross_products.h"
#include "kernels/dispatch.h"
#include "kernels/im2col.h"
#include "kernels/pack.h"
#include "kernels/parallel.h"
#include "kernels/registry.h"
#include "kernels/row_means.h"

namespace actgrad::kernels {
namespace {

template <class T>
constexpr std::int64_t width = lanes<Pack<T>, T>;

// Rows that a thread takes through all products while they lie in its second-level cache, of `size` numbers each.
template <class T>
std::int64_t rows_per_piece(std::int64_t size) {
  return std::clamp<std::int64_t>((128 << 10) / (size * static_cast<std::int64_t>(sizeof(T))), 32, 2048);
}

// result (n, n) = factor · the sum of the parts (parts, n, ld), whose upper triangles count.
template <class T>
void add_parts(const Tensor& sums, T factor, T* result) {
  const std::int64_t parts = sums.dim(0), n = sums.dim(1), ld = sums.dim(2);
  const T* const from = sums.data<T>();
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = i; j < n; ++j) {
      T total = from[i * ld + j];
      for (std::int64_t part = 1; part < parts; ++part) total += from[(part * n + i) * ld + j];
      result[i * n + j] = result[j * n + i] = total * factor;
    }
}

// result (n, n) = 1/rows · Σ_r v_r v_rᵀ. The rows come in `pieces` of at most `piece_rows`: rows_of(piece, buffer) says
// where those of a piece lie, or writes them to the buffer (piece_rows, row_step), whose other columns are zero; its
// column n − 1 is one if `ones`.
template <class T, class RowsOf>
void mean_product(std::int64_t n, std::int64_t rows, std::int64_t pieces, std::int64_t piece_rows, bool buffered,
                  bool ones, const RowsOf& rows_of, T* result) {
  const std::int64_t ld = whole_packs(n, dtype_of<T>::value);
  const std::int64_t grain = 1 + (1 << 18) / std::max<std::int64_t>(1, piece_rows * n * n);
  const Tensor sums = Tensor::zeros({threads_for(pieces, grain), n, ld}, dtype_of<T>::value);
  const Tensor buffers = Tensor::zeros({buffered ? sums.dim(0) : 0, piece_rows, ld}, dtype_of<T>::value);
  if (buffered && ones)
    for (std::int64_t i = 0; i < buffers.numel(); i += ld) buffers.data<T>()[i + n - 1] = T(1);
  parallel_for(pieces, grain, [&](Range range, int thread) {
    T* const buffer = buffered ? buffers.data<T>() + thread * piece_rows * ld : nullptr;
    for (std::int64_t piece = range.begin; piece < range.end; ++piece) {
      const auto [vectors, count] = rows_of(piece, buffer, ld);
      add_cross_products<T>(vectors, n, vectors, ld, 1, count, T(1), sums.data<T>() + thread * n * ld, ld, true);
    }
  });
  add_parts(sums, T(1) / static_cast<T>(rows), result);
}

template <class T>
struct Rows {
  VectorRuns<T> vectors;
  std::int64_t count;
};

// The first d columns of x (rows, step), and ones behind them.
template <class T>
void covariance_of_columns(const T* x, std::int64_t rows, std::int64_t step, std::int64_t d, bool ones, T* result) {
  const std::int64_t piece_rows = std::min(rows_per_piece<T>(d), std::max<std::int64_t>(rows, 1));
  const bool buffered = ones || d % width<T> != 0;
  const auto rows_of = [&](std::int64_t piece, T* buffer, std::int64_t ld) {
    const std::int64_t begin = piece * piece_rows, count = std::min(piece_rows, rows - begin);
    if (!buffered) return Rows<T>{{x + begin * step, step}, count};
    for (std::int64_t r = 0; r < count; ++r) std::copy_n(x + (begin + r) * step, d, buffer + r * ld);
    return Rows<T>{{buffer, ld}, count};
  };
  mean_product(d + (ones ? 1 : 0), rows, (rows + piece_rows - 1) / piece_rows, piece_rows, buffered, ones, rows_of,
               result);
}

// Some output lines of the im2col matrix at a time.
template <class T>
void covariance_of_patches(const Conv2dGeometry& g, const T* x, std::int64_t group, bool ones, T* result) {
  const std::int64_t lines = g.batch * g.out_height(), d = g.patch_size(), n = d + (ones ? 1 : 0);
  const std::int64_t piece_lines =
      std::clamp<std::int64_t>(rows_per_piece<T>(d) / g.out_width(), 1, std::max<std::int64_t>(lines, 1));
  const auto rows_of = [&](std::int64_t piece, T* buffer, std::int64_t ld) {
    const std::int64_t begin = piece * piece_lines, end = std::min(begin + piece_lines, lines);
    im2col_lines(g, x, begin, end, group, buffer, ld);
    return Rows<T>{{buffer, ld}, (end - begin) * g.out_width()};
  };
  mean_product(n, lines * g.out_width(), (lines + piece_lines - 1) / piece_lines, piece_lines * g.out_width(), true,
               ones, rows_of, result);
}

void check_result(const Tensor& result, std::int64_t groups, std::int64_t n, const Tensor& like) {
  ACTGRAD_CHECK(result.shape() == (Shape{groups, n, n}) && result.dtype() == like.dtype(), result.shape().to_string());
}

// Each row adds to one triangle of the matrices; what overlapping patches save does not count.
Work work_of(const Tensor& x, const Tensor& result, std::int64_t rows) {
  const auto n = static_cast<double>(result.dim(-1));
  return {
      .bytes = bytes_of(x, result), .flops = static_cast<double>(result.dim(0) * rows) * n * (n + 1), .product = true};
}

}  // namespace

void covariance(const Tensor& x, bool ones, Tensor& result) {
  const std::int64_t d = x.dim(-1), rows = d ? x.numel() / d : 0;
  check_result(result, 1, d + (ones ? 1 : 0), x);
  const WorkScope work("covariance", work_of(x, result, rows));
  ACTGRAD_DISPATCH(covariance, x, x, ones, result);
  visit_floating(x.dtype(), [&]<class T>() { covariance_of_columns(x.data<T>(), rows, d, d, ones, result.data<T>()); });
}

void group_covariance(const Tensor& dy, std::int64_t groups, Tensor& result) {
  const std::int64_t out = dy.dim(-1), rows = out ? dy.numel() / out : 0, size = out / groups;
  check_result(result, groups, size, dy);
  const WorkScope work("group_covariance", work_of(dy, result, rows));
  ACTGRAD_DISPATCH(group_covariance, dy, dy, groups, result);
  visit_floating(dy.dtype(), [&]<class T>() {
    for (std::int64_t group = 0; group < groups; ++group)
      covariance_of_columns(dy.data<T>() + group * size, rows, out, size, false,
                            result.data<T>() + group * size * size);
  });
}

void patch_covariance(const Conv2dGeometry& g, const Tensor& x, bool ones, Tensor& result) {
  const std::int64_t n = g.patch_size() + (ones ? 1 : 0);
  ACTGRAD_CHECK(x.shape() == g.input_shape(), x.shape().to_string());
  check_result(result, g.groups, n, x);
  const WorkScope work("patch_covariance", work_of(x, result, g.batch * g.out_height() * g.out_width()));
  ACTGRAD_DISPATCH(patch_covariance, x, g, x, ones, result);
  if (shifts_pay(g, x.dtype()))
    covariance_by_shifts(g, x, ones, result);
  else if (lines_pay(g, x.dtype()))
    covariance_by_lines(g, x, ones, result);
  else
    covariance_by_tiles(g, x, ones, result);
}

void write_means(const Conv2dGeometry& g, const Tensor& x, Tensor& result) {
  const std::int64_t d = g.patch_size(), n = result.dim(1);
  // Of the batch's mean image: means are linear.
  Conv2dGeometry of_one = g;
  of_one.batch = 1;
  Tensor image = Tensor::empty(of_one.input_shape(), x.dtype()), row = image.reshape({image.numel()});
  mean_of_rows(x.reshape({g.batch, image.numel()}), row);
  Tensor means = Tensor::empty({1, g.groups * d}, x.dtype());
  patch_means(of_one, image, false, means);
  visit_floating(x.dtype(), [&]<class T>() {
    for (std::int64_t group = 0; group < g.groups; ++group) {
      T* const to = result.data<T>() + group * n * n;
      for (std::int64_t i = 0; i < d; ++i) to[i * n + d] = to[d * n + i] = means.data<T>()[group * d + i];
      to[d * n + d] = T(1);
    }
  });
}

void covariance_by_tiles(const Conv2dGeometry& g, const Tensor& x, bool ones, Tensor& result) {
  visit_floating(x.dtype(), [&]<class T>() {
    for (std::int64_t group = 0; group < g.groups; ++group)
      covariance_of_patches(g, x.data<T>(), group, ones, result.data<T>() + group * result.dim(1) * result.dim(2));
  });
}

}  // namespace actgrad::kernels
