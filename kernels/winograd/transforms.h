// The one-dimensional transforms of Winograd's minimal filtering (Winograd 1980; for convolutional networks: Lavin and
// Gray 2016, whose notation this follows). A correlation of n = M + 2 inputs with 3 taps that gives M outputs,
//
//   y = Aᵀ [ (G g) ⊙ (Bᵀ d) ],
//
// takes n multiplications instead of 3M. Applied along rows and columns, a window of n×n pixels gives M×M outputs with
// n² multiplications per pair of channels instead of 9M²: a quarter for M = 4.
//
// Toom–Cook derivation. Let p_0 … p_{n−2} be distinct points, m(x) = Π (x − p_j), m_i(x) = m(x)/(x − p_i) and
// N_i = m_i(p_i). Then, with ∞ as the last point,
//
//   Bᵀ  row i: the coefficients of m_i(x);              last row: those of m(x)
//   G   row i: (1, p_i, p_i²)/N_i;                      last row: (0, 0, 1)
//   Aᵀ  column i: (1, p_i, …, p_i^(M−1));               last column: (0, …, 0, 1)
//
// The gradient with respect to the taps is a correlation of the same inputs with M "taps" dy and 3 outputs. It shares
// Bᵀ; the other two matrices have M and 3 powers instead of 3 and M. There the factors 1/N_i stand in the last
// transform, which runs once per weight instead of once per window.
//
//   M = 2: points 0, 1, −1, ∞             N = −1, 2, 2
//   M = 4: points 0, ±1/√2, ±√2, ∞        N = 1, −3/2, −3/2, 6, 6
//
// The points of M = 4 keep all powers near 1, which makes the result three to six times more accurate than the textbook
// points 0, ±1, ±2, ∞, at the same cost.
//
// V is a vector register of as many channels, or a plain float or double. Arrays: input d[n], m[n]; see each function.
#pragma once

#include <type_traits>
#include <utility>

namespace actgrad::kernels::winograd {

// Inlined everywhere, also because this header is compiled for several instruction sets in one program.
#define ACTGRAD_TRANSFORM \
  template <class V>      \
  [[gnu::always_inline]] static inline void

template <int M>
struct Transforms;

template <>
struct Transforms<2> {
  // v = Bᵀ d: 4 → 4
  ACTGRAD_TRANSFORM input(const V* d, V* v) {
    v[0] = d[2] - d[0];
    v[1] = d[1] + d[2];
    v[2] = d[2] - d[1];
    v[3] = d[3] - d[1];
  }
  // y = Aᵀ m: 4 → 2
  ACTGRAD_TRANSFORM output(const V* m, V* y) {
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] + m[3];
  }
  // u = G g: 3 → 4
  ACTGRAD_TRANSFORM taps(const V* g, V* u) {
    const V even = 0.5f * (g[0] + g[2]), odd = 0.5f * g[1];
    u[0] = -g[0];
    u[1] = even + odd;
    u[2] = even - odd;
    u[3] = g[2];
  }
  // The powers (1, p_i) times dy: 2 → 4
  ACTGRAD_TRANSFORM output_gradient(const V* dy, V* z) {
    z[0] = dy[0];
    z[1] = dy[0] + dy[1];
    z[2] = dy[0] - dy[1];
    z[3] = dy[1];
  }
  // The powers (1, p_i, p_i²)/N_i, transposed, times the products: 4 → 3
  ACTGRAD_TRANSFORM taps_gradient(const V* m, V* dg) {
    const V even = 0.5f * (m[1] + m[2]), odd = 0.5f * (m[1] - m[2]);
    dg[0] = even - m[0];
    dg[1] = odd;
    dg[2] = even + m[3];
  }
};

template <>
struct Transforms<4> {
  static constexpr double a = 0.70710678118654752440, b = 1.41421356237309504880;  // 1/√2, √2: a² = 1/2, b² = 2

  // v = Bᵀ d: 6 → 6
  //   m_0 = x⁴ − 5/2 x² + 1,  m_±a = x⁴ − 2x² ± a(x³ − 2x),  m_±b = x⁴ − x²/2 ± b(x³ − x/2),  m = x⁵ − 5/2 x³ + x
  ACTGRAD_TRANSFORM input(const V* d, V* v) {
    const V even_a = d[4] - 2.0f * d[2], odd_a = d[3] - 2.0f * d[1];
    const V even_b = d[4] - 0.5f * d[2], odd_b = d[3] - 0.5f * d[1];
    v[0] = d[0] + d[4] - 2.5f * d[2];
    v[1] = even_a + scalar<V>(a) * odd_a;
    v[2] = even_a - scalar<V>(a) * odd_a;
    v[3] = even_b + scalar<V>(b) * odd_b;
    v[4] = even_b - scalar<V>(b) * odd_b;
    v[5] = d[1] + d[5] - 2.5f * d[3];
  }
  // y = Aᵀ m: 6 → 4
  ACTGRAD_TRANSFORM output(const V* m, V* y) {
    const V sum_a = m[1] + m[2], difference_a = m[1] - m[2], sum_b = m[3] + m[4], difference_b = m[3] - m[4];
    y[0] = m[0] + sum_a + sum_b;
    y[1] = scalar<V>(a) * difference_a + scalar<V>(b) * difference_b;
    y[2] = 0.5f * sum_a + 2.0f * sum_b;
    y[3] = scalar<V>(a / 2) * difference_a + scalar<V>(2 * b) * difference_b + m[5];
  }
  // u = G g: 3 → 6
  ACTGRAD_TRANSFORM taps(const V* g, V* u) {
    const V even_a = scalar<V>(-2.0 / 3) * (g[0] + 0.5f * g[2]), odd_a = scalar<V>(-2.0 / 3 * a) * g[1];
    const V even_b = scalar<V>(1.0 / 6) * (g[0] + 2.0f * g[2]), odd_b = scalar<V>(1.0 / 6 * b) * g[1];
    u[0] = g[0];
    u[1] = even_a + odd_a;
    u[2] = even_a - odd_a;
    u[3] = even_b + odd_b;
    u[4] = even_b - odd_b;
    u[5] = g[2];
  }
  // The powers (1, p_i, p_i², p_i³) times dy: 4 → 6
  ACTGRAD_TRANSFORM output_gradient(const V* dy, V* z) {
    const V even_a = dy[0] + 0.5f * dy[2], odd_a = dy[1] + 0.5f * dy[3];
    const V even_b = dy[0] + 2.0f * dy[2], odd_b = dy[1] + 2.0f * dy[3];
    z[0] = dy[0];
    z[1] = even_a + scalar<V>(a) * odd_a;
    z[2] = even_a - scalar<V>(a) * odd_a;
    z[3] = even_b + scalar<V>(b) * odd_b;
    z[4] = even_b - scalar<V>(b) * odd_b;
    z[5] = dy[3];
  }
  // The powers (1, p_i, p_i²)/N_i, transposed, times the products: 6 → 3
  ACTGRAD_TRANSFORM taps_gradient(const V* m, V* dg) {
    const V sum_a = scalar<V>(-2.0 / 3) * (m[1] + m[2]), difference_a = scalar<V>(-2.0 / 3 * a) * (m[1] - m[2]);
    const V sum_b = scalar<V>(1.0 / 6) * (m[3] + m[4]), difference_b = scalar<V>(1.0 / 6 * b) * (m[3] - m[4]);
    dg[0] = m[0] + sum_a + sum_b;
    dg[1] = difference_a + difference_b;
    dg[2] = 0.5f * sum_a + 2.0f * sum_b + m[5];
  }

 private:
  // A constant in V's precision: an element of a vector, or V itself.
  template <class V>
  struct Element {
    using type = V;
  };
  template <class V>
  requires requires(V v) { v[0]; }
  struct Element<V> {
    using type = std::remove_cvref_t<decltype(std::declval<V&>()[0])>;
  };
  template <class V>
  [[gnu::always_inline]] static constexpr auto scalar(double value) {
    return static_cast<typename Element<V>::type>(value);
  }
};

#undef ACTGRAD_TRANSFORM

}  // namespace actgrad::kernels::winograd
