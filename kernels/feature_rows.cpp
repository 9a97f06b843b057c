#include "kernels/feature_rows.h"

#include <cmath>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/flat.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

void check_rows(const Tensor& x, const Tensor& per_row) {
  ACTGRAD_CHECK(x.rank() == 2 && per_row.numel() == x.dim(0),
                x.shape().to_string() + " and " + per_row.shape().to_string());
}

// Σ_i term(i) for i in the range, in double, in 16 lanes.
template <class Term>
double sum_over(Range range, const Term& term) {
  constexpr std::int64_t lanes = 16;
  double sums[lanes] = {}, total = 0;
  std::int64_t i = range.begin;
  for (; i + lanes <= range.end; i += lanes)
#pragma omp simd
    for (std::int64_t lane = 0; lane < lanes; ++lane) sums[lane] += term(i + lane);
  for (; i < range.end; ++i) total += term(i);
  for (double sum : sums) total += sum;
  return total;
}

// result[r] = Σ_i term(r·n + i) for all rows: each thread adds up its part of every row.
template <class Term>
std::vector<double> row_sums(std::int64_t rows, std::int64_t n, const Term& term) {
  const std::int64_t grain = 1 + flat_grain / std::max<std::int64_t>(rows, 1);
  const auto parts = static_cast<std::size_t>(threads_for(n, grain)), count = static_cast<std::size_t>(rows);
  std::vector<double> partial(parts * count), sums(count);
  parallel_for(n, grain, [&](Range range, int part) {
    for (std::size_t r = 0; r < count; ++r) {
      const std::int64_t first = static_cast<std::int64_t>(r) * n;
      partial[static_cast<std::size_t>(part) * count + r] = sum_over({first + range.begin, first + range.end}, term);
    }
  });
  for (std::size_t i = 0; i < partial.size(); ++i) sums[i % count] += partial[i];
  return sums;
}

// body(row, i) for every element i of every row's part of the flat arrays.
template <class Body>
void for_each_of_rows(std::int64_t rows, std::int64_t n, const Body& body) {
  parallel_for(n, 1 + flat_grain / std::max<std::int64_t>(rows, 1), [&](Range range, int) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const Body local = body;
#pragma omp simd
      for (std::int64_t i = range.begin; i < range.end; ++i) local(r, i);
    }
  });
}

}  // namespace

void row_bias_forward(const Tensor& bias, Tensor& y) {
  check_rows(y, bias);
  ACTGRAD_DISPATCH(row_bias_forward, y, bias, y);
  visit_floating(y.dtype(), [&]<class T>() {
    const std::int64_t n = y.dim(1);
    for_each_of_rows(y.dim(0), n, [n, b = bias.data<T>(), to = y.data<T>()](std::int64_t r, std::int64_t i) {
      to[r * n + i] = b[r];
    });
  });
}

void row_bias_backward(const Tensor& dy, Tensor& dbias, Write mode) {
  check_rows(dy, dbias);
  ACTGRAD_DISPATCH(row_bias_backward, dy, dy, dbias, mode);
  visit_floating(dy.dtype(), [&]<class T>() {
    const T* const gradient = dy.data<T>();
    const std::vector<double> sums =
        row_sums(dy.dim(0), dy.dim(1), [=](std::int64_t e) { return static_cast<double>(gradient[e]); });
    T* const to = dbias.data<T>();
    for (std::size_t r = 0; r < sums.size(); ++r)
      to[r] = static_cast<T>(sums[r] + (mode == Write::accumulate ? static_cast<double>(to[r]) : 0));
  });
}

void row_normalise_forward(const Tensor& x, Tensor& y, Tensor& scales) {
  check_like(x, y);
  check_rows(x, scales);
  ACTGRAD_DISPATCH(row_normalise_forward, x, x, y, scales);
  visit_floating(x.dtype(), [&]<class T>() {
    const std::int64_t n = x.dim(1);
    const T* const in = x.data<T>();
    const std::vector<double> squares =
        row_sums(x.dim(0), n, [=](std::int64_t e) { return static_cast<double>(in[e]) * static_cast<double>(in[e]); });
    double* const to = scales.data<double>();
    for (std::size_t r = 0; r < squares.size(); ++r) to[r] = 1 / std::sqrt(squares[r] + 1e-16);
    for_each_of_rows(x.dim(0), n, [=, out = y.data<T>()](std::int64_t r, std::int64_t i) {
      out[r * n + i] = static_cast<T>(in[r * n + i] * to[r]);
    });
  });
}

void row_normalise_backward(const Tensor& dy, const Tensor& y, const Tensor& scales, Tensor& dx, Write mode) {
  check_like(dy, y);
  check_like(dy, dx);
  check_rows(dy, scales);
  ACTGRAD_DISPATCH(row_normalise_backward, dy, dy, y, scales, dx, mode);
  visit_floating(dy.dtype(), [&]<class T>() {
    const std::int64_t n = dy.dim(1);
    const T *const gradient = dy.data<T>(), *const values = y.data<T>();
    const std::vector<double> dots = row_sums(dy.dim(0), n, [=](std::int64_t e) {
      return static_cast<double>(gradient[e]) * static_cast<double>(values[e]);
    });
    const double keep = mode == Write::accumulate ? 1 : 0;
    for_each_of_rows(
        dy.dim(0), n,
        [=, to = dx.data<T>(), dot = dots.data(), scale = scales.data<double>()](std::int64_t r, std::int64_t i) {
          const std::int64_t e = r * n + i;
          const T change = static_cast<T>(scale[r] * (gradient[e] - values[e] * dot[r]));
          to[e] = keep != 0 ? to[e] + change : change;
        });
  });
}

void row_dot_forward(const Tensor& a, const Tensor& b, Tensor& y) {
  check_like(a, b);
  ACTGRAD_CHECK(a.rank() == 2 && y.numel() == a.dim(1), y.shape().to_string());
  ACTGRAD_DISPATCH(row_dot_forward, a, a, b, y);
  y.fill_zero();
  visit_floating(a.dtype(), [&]<class T>() {
    const std::int64_t n = a.dim(1);
    for_each_of_rows(a.dim(0), n,
                     [n, left = a.data<T>(), right = b.data<T>(), to = y.data<T>()](std::int64_t r, std::int64_t i) {
                       to[i] += left[r * n + i] * right[r * n + i];
                     });
  });
}

void row_dot_backward(const Tensor& dy, const Tensor& b, Tensor& da, Write mode) {
  check_like(b, da);
  ACTGRAD_CHECK(b.rank() == 2 && dy.numel() == b.dim(1), dy.shape().to_string());
  ACTGRAD_DISPATCH(row_dot_backward, dy, dy, b, da, mode);
  visit_floating(dy.dtype(), [&]<class T>() {
    const std::int64_t n = b.dim(1);
    const bool add = mode == Write::accumulate;
    for_each_of_rows(
        b.dim(0), n,
        [n, add, gradient = dy.data<T>(), other = b.data<T>(), to = da.data<T>()](std::int64_t r, std::int64_t i) {
          const T change = gradient[i] * other[r * n + i];
          to[r * n + i] = add ? to[r * n + i] + change : change;
        });
  });
}

}  // namespace actgrad::kernels
