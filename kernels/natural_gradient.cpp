#include "kernels/natural_gradient.h"

#include <vector>

#include "kernels/dispatch.h"
#include "kernels/flat.h"
#include "kernels/natural_gradient_formulas.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

void check_sides(const Tensor& x, const Tensor& left, const Tensor& right) {
  ACTGRAD_CHECK(
      x.rank() == 3 && left.shape() == (Shape{x.dim(0), x.dim(1)}) && right.shape() == (Shape{x.dim(0), x.dim(2)}),
      x.shape().to_string() + " between " + left.shape().to_string() + " and " + right.shape().to_string());
  ACTGRAD_CHECK(x.dtype() == left.dtype() && x.dtype() == right.dtype(), "dtypes differ");
}

// Σ a[i]·b[i], in double, in an order that depends on n and the number of threads only.
template <class T>
double dot(const T* a, const T* b, std::int64_t n) {
  std::vector<double> parts(static_cast<std::size_t>(threads_for(n, flat_grain)));
  parallel_for(n, flat_grain, [&](Range range, int part) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = range.begin; i < range.end; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    parts[static_cast<std::size_t>(part)] = sum;
  });
  double sum = 0;
  for (const double part : parts) sum += part;
  return sum;
}

// rank_one_direction of one group.
template <class T>
void rank_one(std::int64_t m, std::int64_t n, const T* g, const T* b, const T* a, double damping, RankOne form,
              T* direction) {
  std::vector<double> ga(static_cast<std::size_t>(m)), bg(static_cast<std::size_t>(n), 0.0);
  double aa = 0, bb = 0, bga = 0;
  for (std::int64_t j = 0; j < n; ++j) aa += static_cast<double>(a[j]) * static_cast<double>(a[j]);
  for (std::int64_t i = 0; i < m; ++i) {
    const T* const row = g + i * n;
    const double bi = static_cast<double>(b[i]);
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t j = 0; j < n; ++j) sum += static_cast<double>(row[j]) * static_cast<double>(a[j]);
    if (form == RankOne::separate)
      for (std::int64_t j = 0; j < n; ++j) bg[static_cast<std::size_t>(j)] += bi * static_cast<double>(row[j]);
    ga[static_cast<std::size_t>(i)] = sum;
    bga += bi * sum;
    bb += bi * bi;
  }
  const formulas::RankOneConstants c = formulas::rank_one_constants(form == RankOne::joint, damping, aa, bb, bga);
  for (std::int64_t i = 0; i < m; ++i) {
    const double bi = static_cast<double>(b[i]);
    const T own = T(c.k[0]), along_a = T(c.k[1] * bi + c.k[3] * ga[static_cast<std::size_t>(i)]),
            along_bg = T(c.k[2] * bi);
    const T* const row = g + i * n;
    T* const out = direction + i * n;
    for (std::int64_t j = 0; j < n; ++j)
      out[j] = own * row[j] + along_a * a[j] + along_bg * T(bg[static_cast<std::size_t>(j)]);
  }
}

}  // namespace

void divide_by_kronecker(Tensor& x, const Tensor& left, const Tensor& right, double damping) {
  check_sides(x, left, right);
  ACTGRAD_DISPATCH(divide_by_kronecker, x, x, left, right, damping);
  const std::int64_t rows = x.dim(0) * x.dim(1), m = x.dim(1), n = x.dim(2);
  visit_floating(x.dtype(), [&]<class T>() {
    const T *const of_row = left.data<T>(), *const of_column = right.data<T>();
    T* const values = x.data<T>();
    parallel_for(rows, std::max<std::int64_t>(1, flat_grain / std::max<std::int64_t>(n, 1)), [&](Range range, int) {
      for (std::int64_t r = range.begin; r < range.end; ++r)
        for (std::int64_t j = 0; j < n; ++j) values[r * n + j] /= of_row[r] * of_column[r / m * n + j] + T(damping);
    });
  });
}

void kl_clip(Tensor& direction, const Tensor& gradient, const StepValue<double>& lr, double limit) {
  check_like(direction, gradient);
  ACTGRAD_DISPATCH(kl_clip, direction, direction, gradient, lr, limit);
  visit_floating(direction.dtype(), [&]<class T>() {
    T* const values = direction.data<T>();
    const std::int64_t n = direction.numel();
    const T factor = T(formulas::kl_factor(dot(values, gradient.data<T>(), n), lr.value(), limit));
    for_each_element(n, [=](std::int64_t i) { values[i] *= factor; });
  });
}

void rank_one_direction(const Tensor& gradient, const Tensor& b, const Tensor& a, double damping, RankOne form,
                        Tensor& direction) {
  check_sides(gradient, b, a);
  check_like(gradient, direction);
  ACTGRAD_DISPATCH(rank_one_direction, gradient, gradient, b, a, damping, form, direction);
  const std::int64_t groups = gradient.dim(0), m = gradient.dim(1), n = gradient.dim(2);
  visit_floating(gradient.dtype(), [&]<class T>() {
    for (std::int64_t group = 0; group < groups; ++group)
      rank_one(m, n, gradient.data<T>() + group * m * n, b.data<T>() + group * m, a.data<T>() + group * n, damping,
               form, direction.data<T>() + group * m * n);
  });
}

}  // namespace actgrad::kernels
