// exp(x) − 1 and what is made of it, without a branch or a table: compilers turn loops over these functions into vector
// code, which they do not with the C library's. Every device computes the same formula. T: float or double.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/host_device.h"

namespace actgrad::kernels::vector_math {

namespace detail {

// Terms of (eʳ − 1)/r that matter for |r| <= ln 2 / 2: the first one left out is below half a unit in the last place.
template <class T>
inline constexpr int terms = sizeof(T) == 4 ? 7 : 13;

constexpr double inverse_factorial(int k) {
  return k == 0 ? 1.0 : inverse_factorial(k - 1) / k;
}

// 1/k! + r/(k+1)! + r²/(k+2)! + …
template <int k, class T>
ACTGRAD_HOST_DEVICE inline T exponential_series(T r) {
  constexpr T coefficient = T(inverse_factorial(k));
  if constexpr (k == terms<T>)
    return coefficient;
  else
    return coefficient + r * exponential_series<k + 1>(r);
}

}  // namespace detail

// eˣ − 1, within 3 units in the last place, also near 0. Saturates at e^88 (float) and e^709 (double); NaN stays NaN.
//   x = n·ln 2 + r:   eˣ − 1 = 2ⁿ·(eʳ − 1) + (2ⁿ − 1)
template <class T>
ACTGRAD_HOST_DEVICE inline T expm1(T x) {
  using std::rint;
  using Integer = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  using Bits = std::make_unsigned_t<Integer>;
  constexpr int mantissa = std::numeric_limits<T>::digits - 1, bias = std::numeric_limits<T>::max_exponent - 1;
  // ln 2 in two parts: the first has so few digits that its product with n is exact.
  constexpr T log2e = T(1.4426950408889634074), high = T(sizeof(T) == 4 ? 0.693359375 : 0.69314718036912381649),
              low = T(sizeof(T) == 4 ? -2.12194440054690582e-4 : 1.9082149292705877e-10);
  constexpr T smallest = sizeof(T) == 4 ? T(-87) : T(-708), largest = sizeof(T) == 4 ? T(88) : T(709);
  x = x < smallest ? smallest : x;
  x = x > largest ? largest : x;
  const T n = rint(x * log2e), r = (x - n * high) - n * low;
  const T power = std::bit_cast<T>(static_cast<Bits>(static_cast<Integer>(n) + bias) << mantissa);
  return power * (r * detail::exponential_series<1>(r)) + (power - T(1));
}

// 1/(1 + e⁻ˣ)
template <class T>
ACTGRAD_HOST_DEVICE inline T sigmoid(T x) {
  return T(1) / (T(2) + expm1(-x));
}
// (e²ˣ − 1)/(e²ˣ + 1)
template <class T>
ACTGRAD_HOST_DEVICE inline T tanh(T x) {
  const T limited = x > T(20) ? T(20) : x;  // beyond, the result is 1
  const T e = expm1(limited + limited);
  return e / (e + T(2));
}
// x where x > 0, else eˣ − 1 (Clevert, Unterthiner and Hochreiter 2016, α = 1).
template <class T>
ACTGRAD_HOST_DEVICE inline T elu(T x) {
  const T e = expm1(x > T(0) ? T(0) : x);
  return x > T(0) ? x : e;
}

}  // namespace actgrad::kernels::vector_math
