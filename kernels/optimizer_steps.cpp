#include "kernels/optimizer_steps.h"

#include <algorithm>

#include "kernels/dispatch.h"
#include "kernels/flat.h"
#include "kernels/formulas.h"
#include "kernels/registry.h"

namespace actgrad::kernels {

void sgd_step(Tensor& p, const Tensor& g, Tensor& buffer, const StepValue<SgdStep>& step) {
  check_like(p, g);
  ACTGRAD_CHECK(static_cast<bool>(buffer) == (step.value().momentum != 0), "a buffer goes with momentum");
  if (buffer) check_like(p, buffer);
  const double flops = buffer ? (step.value().nesterov ? 9 : 7) : 4;  // for each parameter: see formulas.h
  const WorkScope work(
      "sgd_step", {.bytes = 2 * bytes_of(p, buffer) + bytes_of(g), .flops = flops * static_cast<double>(p.numel())});
  ACTGRAD_DISPATCH(sgd_step, p, p, g, buffer, step);
  visit_floating(p.dtype(), [&]<class T>() {
    const auto k = formulas::sgd_constants<T>(step.value());
    T* const weights = p.data<T>();
    const T* const gradients = g.data<T>();
    if (!buffer) {
      for_each_element(p.numel(),
                       [=](std::int64_t i) { weights[i] = formulas::sgd_plain(weights[i], gradients[i], k); });
      return;
    }
    T* const buffers = buffer.data<T>();
    for_each_element(p.numel(),
                     [=](std::int64_t i) { formulas::sgd_momentum(weights[i], gradients[i], buffers[i], k); });
  });
}

void adam_step(Tensor& p, const Tensor& g, Tensor& m, Tensor& v, const StepValue<AdamStep>& step) {
  check_like(p, g);
  check_like(p, m);
  check_like(p, v);
  const WorkScope work("adam_step",
                       {.bytes = 2 * bytes_of(p, m, v) + bytes_of(g), .flops = 16.0 * static_cast<double>(p.numel())});
  ACTGRAD_DISPATCH(adam_step, p, p, g, m, v, step);
  visit_floating(p.dtype(), [&]<class T>() {
    const auto k = formulas::adam_constants<T>(step.value());
    T* const weights = p.data<T>();
    const T* const gradients = g.data<T>();
    T* const first = m.data<T>();
    T* const second = v.data<T>();
    for_each_element(p.numel(),
                     [=](std::int64_t i) { formulas::adam(weights[i], gradients[i], first[i], second[i], k); });
  });
}

void adan_step(Tensor& p, const Tensor& g, Tensor& m, Tensor& v, Tensor& n, Tensor& previous,
               const StepValue<AdanStep>& step) {
  for (const Tensor& other : {g, m, v, n, previous}) check_like(p, other);
  const WorkScope work("adan_step", {.bytes = 2 * bytes_of(p, m, v, n, previous) + bytes_of(g),
                                     .flops = 24.0 * static_cast<double>(p.numel())});
  ACTGRAD_DISPATCH(adan_step, p, p, g, m, v, n, previous, step);
  visit_floating(p.dtype(), [&]<class T>() {
    const auto k = formulas::adan_constants<T>(step.value());
    T *const weights = p.data<T>(), *const before = previous.data<T>();
    T *const first = m.data<T>(), *const change = v.data<T>(), *const second = n.data<T>();
    const T* const gradients = g.data<T>();
    for_each_element(p.numel(), [=](std::int64_t i) {
      formulas::adan(weights[i], gradients[i], first[i], change[i], second[i], before[i], k);
    });
  });
}

namespace {

// adaact_step for the elements [range.begin, range.end) of a piece.
template <class T>
void step_piece(const AdaActPiece& piece, Range range, T* p, const T* g, T* m, const T* rates,
                const formulas::AdaActConstants<T>& constants) {
  const auto k = constants.of(piece.decays);  // a copy of its own stays in registers
  if (piece.rate < 0) {
#pragma omp simd
    for (std::int64_t i = range.begin; i < range.end; ++i) p[i] = formulas::adaact_plain(p[i], g[i], k);
    return;
  }
  if (piece.columns == 1) {  // a bias: one long column
    const T only = rates[piece.rate];
#pragma omp simd
    for (std::int64_t i = range.begin; i < range.end; ++i) formulas::adaact(p[i], g[i], m[i], only, k);
    return;
  }
  for (std::int64_t i = range.begin; i < range.end;) {
    const std::int64_t column = (i - piece.begin) % piece.columns;
    const std::int64_t count = std::min(piece.columns - column, range.end - i);
    const T* const row_rates = rates + piece.rate + column;
    T *const row_p = p + i, *const row_m = m + i;
    const T* const row_g = g + i;
#pragma omp simd
    for (std::int64_t j = 0; j < count; ++j) formulas::adaact(row_p[j], row_g[j], row_m[j], row_rates[j], k);
    i += count;
  }
}

// Weighted layers' elements read and write p and m and read g, the others read and write p and read g.
Work work_of(const AdaActPieces& pieces, const Tensor& p, const Tensor& rates) {
  Work work{.bytes = bytes_of(rates)};
  for (const AdaActPiece& piece : pieces.list()) {
    const double count = static_cast<double>(piece.end - piece.begin);
    work.bytes += (piece.rate < 0 ? 3 : 5) * count * static_cast<double>(size_of(p.dtype()));
    work.flops += (piece.rate < 0 ? 3 : 7) * count;
  }
  return work;
}

}  // namespace

void adaact_step(Tensor& p, const Tensor& g, Tensor& m, const Tensor& rates, const AdaActPieces& pieces,
                 const StepValue<AdaActStep>& step) {
  check_like(p, g);
  check_like(p, m);
  for (const AdaActPiece& piece : pieces.list()) {
    const std::int64_t count = piece.end - piece.begin;
    ACTGRAD_CHECK(piece.begin >= 0 && count >= 0 && piece.end <= p.numel(), "a piece outside of the parameters");
    ACTGRAD_CHECK(piece.rate < 0 ||
                      (piece.columns > 0 && count % piece.columns == 0 && piece.rate + piece.columns <= rates.numel()),
                  "a piece and its rates");
  }
  const WorkScope work("adaact_step", work_of(pieces, p, rates));
  ACTGRAD_DISPATCH(adaact_step, p, p, g, m, rates, pieces, step);
  visit_floating(p.dtype(), [&]<class T>() {
    const auto k = formulas::adaact_constants<T>(step.value());
    T *const weights = p.data<T>(), *const momenta = m.data<T>();
    const T *const gradients = g.data<T>(), *const all_rates = rates.data<T>();
    parallel_for(p.numel(), flat_grain, [&](Range range, int) {
      for (const AdaActPiece& piece : pieces.list()) {
        const Range part{std::max(range.begin, piece.begin), std::min(range.end, piece.end)};
        if (part.begin < part.end) step_piece(piece, part, weights, gradients, momenta, all_rates, k);
      }
    });
  });
}

void adaact_rate(const Tensor& v, const StepValue<AdaActStep>& step, Tensor& rate) {
  check_like(v, rate);
  ACTGRAD_DISPATCH(adaact_rate, v, v, step, rate);
  visit_floating(v.dtype(), [&]<class T>() {
    const auto k = formulas::adaact_constants<T>(step.value());
    const T* const moments = v.data<T>();
    T* const rates = rate.data<T>();
    for_each_element(v.numel(), [=](std::int64_t i) { rates[i] = formulas::adaact_rate(moments[i], k); });
  });
}

}  // namespace actgrad::kernels
