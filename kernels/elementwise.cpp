#include "kernels/elementwise.h"

#include <bit>

#include "core/random.h"
#include "kernels/bfloat16.h"
#include "kernels/dispatch.h"
#include "kernels/flat.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

// Calls term(range) for each thread's part of [0, n) and adds the results in the order of the parts.
template <class Term>
double parallel_sum(std::int64_t n, const Term& term) {
  std::vector<double> parts(static_cast<std::size_t>(threads_for(n, flat_grain)));
  parallel_for(n, flat_grain, [&](Range range, int index) { parts[static_cast<std::size_t>(index)] = term(range); });
  double total = 0;
  for (double part : parts) total += part;
  return total;
}

// y[i] = value(i), or += value(i).
template <class T, class Value>
void write_each(Tensor& y, Write mode, const Value& value) {
  T* const out = y.data<T>();
  if (mode == Write::overwrite)
    for_each_element(y.numel(), [=](std::int64_t i) { out[i] = value(i); });
  else
    for_each_element(y.numel(), [=](std::int64_t i) { out[i] += value(i); });
}

// Calls visit(e, kept) for every element e of [0, n), where element e is kept when word e % 4 of Philox block e / 4 is
// below keep·2³². Sixteen blocks are drawn at a time, in vector lanes.
template <class Visit>
void draw_mask(std::int64_t n, double keep, const RandomStream& stream, const Visit& visit) {
  ACTGRAD_CHECK(keep > 0 && keep <= 1, "dropout keeps " + std::to_string(keep));
  constexpr std::int64_t blocks = 16, elements = 4 * blocks;
  const auto threshold = static_cast<std::uint64_t>(keep * 0x1p32);
  parallel_for((n + elements - 1) / elements, flat_grain / (8 * elements), [&](Range groups, int) {
    const Random random(stream.seed, Purpose::dropout, stream.first.value() + stream.offset);
    const Visit local = visit;
    std::uint32_t words[elements];
    for (std::int64_t group = groups.begin; group < groups.end; ++group) {
#pragma omp simd
      for (std::int64_t b = 0; b < blocks; ++b) {
        const auto block = random.block(static_cast<std::uint64_t>(group * blocks + b));
        for (std::int64_t i = 0; i < 4; ++i) words[4 * b + i] = block[static_cast<std::size_t>(i)];
      }
      const std::int64_t first = group * elements, count = std::min(elements, n - first);
#pragma omp simd
      for (std::int64_t i = 0; i < count; ++i) local(first + i, words[i] < threshold);
    }
  });
}

}  // namespace

void relu_forward(const Tensor& x, Tensor& y) {
  check_like(x, y);
  ACTGRAD_DISPATCH(relu_forward, x, x, y);
  visit_floating(x.dtype(), [&]<class T>() {
    const T* const in = x.data<T>();
    // Written so that NaN stays NaN: a broken run must show.
    write_each<T>(y, Write::overwrite, [=](std::int64_t i) { return in[i] < T(0) ? T(0) : in[i]; });
  });
}

void relu_backward(const Tensor& dy, const Tensor& y, Tensor& dx, Write mode) {
  check_like(dy, y);
  check_like(dy, dx);
  ACTGRAD_DISPATCH(relu_backward, dy, dy, y, dx, mode);
  visit_floating(dy.dtype(), [&]<class T>() {
    const T* const gradient = dy.data<T>();
    const T* const out = y.data<T>();
    write_each<T>(dx, mode, [=](std::int64_t i) { return out[i] > T(0) ? gradient[i] : T(0); });
  });
}

void add(const Tensor& a, const Tensor& b, Tensor& y) {
  check_like(a, b);
  check_like(a, y);
  ACTGRAD_DISPATCH(add, a, a, b, y);
  visit_floating(a.dtype(), [&]<class T>() {
    const T* const left = a.data<T>();
    const T* const right = b.data<T>();
    write_each<T>(y, Write::overwrite, [=](std::int64_t i) { return left[i] + right[i]; });
  });
}

void copy(const Tensor& x, Tensor& y, Write mode) {
  check_like(x, y);
  ACTGRAD_DISPATCH(copy, x, x, y, mode);
  visit_floating(x.dtype(), [&]<class T>() {
    const T* const in = x.data<T>();
    write_each<T>(y, mode, [=](std::int64_t i) { return in[i]; });
  });
}

void scale(Tensor& x, double factor) {
  const WorkScope work("scale", {.bytes = 2 * bytes_of(x), .flops = static_cast<double>(x.numel())});
  ACTGRAD_DISPATCH(scale, x, x, factor);
  visit_floating(x.dtype(), [&]<class T>() {
    T* const values = x.data<T>();
    const T a = T(factor);
    for_each_element(x.numel(), [=](std::int64_t i) { values[i] *= a; });
  });
}

void mix(Tensor& x, double a, const Tensor& y, double b) {
  check_like(x, y);
  const WorkScope work("mix", {.bytes = 2 * bytes_of(x) + bytes_of(y), .flops = 3.0 * static_cast<double>(x.numel())});
  ACTGRAD_DISPATCH(mix, x, x, a, y, b);
  visit_floating(x.dtype(), [&]<class T>() {
    T* const values = x.data<T>();
    const T* const others = y.data<T>();
    const T own = T(a), other = T(b);
    for_each_element(x.numel(), [=](std::int64_t i) { values[i] = own * values[i] + other * others[i]; });
  });
}

void fill(Tensor& x, double value) {
  ACTGRAD_DISPATCH(fill, x, x, value);
  visit_floating(x.dtype(), [&]<class T>() {
    const T rounded = T(value);
    write_each<T>(x, Write::overwrite, [=](std::int64_t) { return rounded; });
  });
}

void cast(const Tensor& x, Tensor& y, Write mode) {
  ACTGRAD_CHECK(x.shape() == y.shape(), x.shape().to_string() + " to " + y.shape().to_string());
  ACTGRAD_DISPATCH(cast, x, x, y, mode);
  visit_any_floating(x.dtype(), [&]<class From>() {
    const From* const in = x.data<From>();
    visit_any_floating(y.dtype(), [&]<class To>() {
      const auto value = [=](std::int64_t i) { return formulas::converted<To>(in[i]); };
      if constexpr (std::is_same_v<To, bfloat16>) {
        ACTGRAD_CHECK(mode == Write::overwrite, "no sums in bfloat16");
        To* const out = y.data<To>();
        for_each_element(y.numel(), [=](std::int64_t i) { out[i] = value(i); });
      } else {
        write_each<To>(y, mode, value);
      }
    });
  });
}

double sum(const Tensor& x) {
  ACTGRAD_DISPATCH(sum, x, x);
  return visit_floating(x.dtype(), [&]<class T>() {
    const T* const values = x.data<T>();
    return parallel_sum(x.numel(), [=](Range range) {
      double total = 0;
#pragma omp simd reduction(+ : total)
      for (std::int64_t i = range.begin; i < range.end; ++i) total += values[i];
      return total;
    });
  });
}

double sum_of_squares(const Tensor& x) {
  ACTGRAD_DISPATCH(sum_of_squares, x, x);
  return visit_floating(x.dtype(), [&]<class T>() {
    const T* const values = x.data<T>();
    return parallel_sum(x.numel(), [=](Range range) {
      double total = 0;
#pragma omp simd reduction(+ : total)
      for (std::int64_t i = range.begin; i < range.end; ++i)
        total += static_cast<double>(values[i]) * static_cast<double>(values[i]);
      return total;
    });
  });
}

bool all_finite(const Tensor& x) {
  ACTGRAD_DISPATCH(all_finite, x, x);
  return visit_floating(x.dtype(), [&]<class T>() {
    // NaN and infinities are the numbers whose exponent bits are all ones.
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    constexpr Bits exponent = std::bit_cast<Bits>(std::numeric_limits<T>::infinity());
    const T* const values = x.data<T>();
    return parallel_sum(x.numel(), [=](Range range) {
             Bits bad = 0;
#pragma omp simd reduction(| : bad)
             for (std::int64_t i = range.begin; i < range.end; ++i)
               bad |= (std::bit_cast<Bits>(values[i]) & exponent) == exponent ? Bits(1) : Bits(0);
             return static_cast<double>(bad);
           }) == 0;
  });
}

void dropout_forward(const Tensor& x, double keep, const RandomStream& stream, Tensor& y) {
  check_like(x, y);
  ACTGRAD_DISPATCH(dropout_forward, x, x, keep, stream, y);
  visit_floating(x.dtype(), [&]<class T>() {
    const T* const in = x.data<T>();
    T* const out = y.data<T>();
    const T gain = T(1 / keep);
    draw_mask(x.numel(), keep, stream, [=](std::int64_t e, bool kept) { out[e] = kept ? in[e] * gain : T(0); });
  });
}

void dropout_backward(const Tensor& dy, double keep, const RandomStream& stream, Tensor& dx, Write mode) {
  ACTGRAD_DISPATCH(dropout_backward, dy, dy, keep, stream, dx, mode);
  if (mode == Write::overwrite) return dropout_forward(dy, keep, stream, dx);  // the same formula
  check_like(dy, dx);
  visit_floating(dy.dtype(), [&]<class T>() {
    const T* const gradient = dy.data<T>();
    T* const out = dx.data<T>();
    const T gain = T(1 / keep);
    draw_mask(dy.numel(), keep, stream, [=](std::int64_t e, bool kept) { out[e] += kept ? gradient[e] * gain : T(0); });
  });
}

}  // namespace actgrad::kernels
