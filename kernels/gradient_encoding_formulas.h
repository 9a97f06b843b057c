// kernels/gradient_encodings.h for one gradient, on every device.
#pragma once

#include <cmath>

#include "kernels/gradient_encodings.h"
#include "kernels/host_device.h"

namespace actgrad::kernels::formulas {

template <class T>
ACTGRAD_HOST_DEVICE inline T log_size(T g) {
  using std::fabs, std::log;
  constexpr T smallest = T(4.5399929762484852e-5);  // e⁻¹⁰
  const T size = fabs(g);
  return log(size < smallest ? smallest : size) / T(10);
}

template <class T>
ACTGRAD_HOST_DEVICE inline T clipped_sign(T g) {
  const T large = g * T(22026.465794806718);  // e¹⁰
  return large < T(-1) ? T(-1) : large > T(1) ? T(1) : large;
}

template <class T>
struct RmsConstants {
  T beta, gain, inverse_correction;
};
template <class T>
ACTGRAD_HOST_DEVICE inline RmsConstants<T> rms_constants(const RmsEncoding& s) {
  return {T(s.beta), T(1 - s.beta), T(1 / s.correction)};
}

template <class T>
ACTGRAD_HOST_DEVICE inline void rms_features(T g, T& m, T& v, T& of_g, T& of_m, const RmsConstants<T>& k) {
  using std::sqrt;
  m = k.beta * m + k.gain * g;
  v = k.beta * v + k.gain * g * g;
  const T root = sqrt(v * k.inverse_correction) + T(1e-8);
  of_g = g / root;
  of_m = m * k.inverse_correction / root;
}

}  // namespace actgrad::kernels::formulas
