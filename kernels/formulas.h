// Scalar formulas, shared by every device's kernels so that the tests of one exercise the arithmetic of all.
// P is float, double, or a pack of them (kernels/pack.h).
#pragma once

#include <cmath>

#include "kernels/host_device.h"
#include "kernels/lamb.h"
#include "kernels/optimizer_steps.h"

namespace actgrad::kernels::formulas {

// Batch normalisation of one value; factor = scale/√(σ² + ε). Subtracting the mean first keeps the digits that
// factor·x − factor·mean would lose when the mean is large. Forward and backward passes must agree on the sign of the
// result (the mask of a fused ReLU), so both call this; a CUDA compiler is not left to choose per call how it rounds.
template <class P>
ACTGRAD_HOST_DEVICE inline P batch_norm(P x, P mean, P factor, P shift) {
#ifdef __CUDA_ARCH__
  using std::fma;
  return fma(x - mean, factor, shift);
#else
  return (x - mean) * factor + shift;
#endif
}

// The gradient of batch_norm's result (g of it) with respect to x, through the batch's statistics too:
// centre = factor · mean of g, slope = factor · mean of g·(x − mean) / (σ² + ε); both 0 when statistics are constants.
template <class P>
ACTGRAD_HOST_DEVICE inline P batch_norm_gradient(P g, P x, P mean, P factor, P centre, P slope) {
  return factor * g - centre - slope * (x - mean);
}

// Mean and Σ(x − mean)² of `count` numbers, from Σ d and Σ d² of their differences d to one of them, `origin`: sums of
// small numbers, so that little cancels.
struct Moments {
  double mean, squares;
};
ACTGRAD_HOST_DEVICE inline Moments moments_around(double origin, double count, double sum, double sum_of_squares) {
  const double squares = sum_of_squares - sum * sum / count;
  return {origin + sum / count, squares > 0 ? squares : 0};
}

// The running statistic after a batch.
template <class T>
ACTGRAD_HOST_DEVICE inline T running_average(T running, double batch, double momentum) {
  return T((1 - momentum) * static_cast<double>(running) + momentum * batch);
}

// Whether `candidate` takes the place of the maximum of those before it (lane by lane, of packs). Of equal ones the
// first stays; NaN wins always, so that it shows.
template <class P>
ACTGRAD_HOST_DEVICE inline auto is_new_maximum(P candidate, P maximum) {
  return (candidate > maximum) | (candidate != candidate);
}

// a/b, but 0 where b is 0: what has never had a gradient does not move, also without an ε. NaN stays NaN.
template <class T>
ACTGRAD_HOST_DEVICE inline T quotient_or_zero(T a, T b) {
  return b == T(0) ? T(0) : a / b;
}

// The first of `classes` at which the sum of the softmax probabilities exceeds u; the last one if rounding lets none.
template <class T>
ACTGRAD_HOST_DEVICE inline std::int32_t sampled_class(const T* logits, std::int64_t classes, double u) {
  using std::exp;
  T largest = logits[0];
  for (std::int64_t j = 1; j < classes; ++j) largest = largest < logits[j] ? logits[j] : largest;
  double total = 0;
  for (std::int64_t j = 0; j < classes; ++j) total += static_cast<double>(exp(logits[j] - largest));
  double sum = 0;
  for (std::int64_t j = 0; j < classes; ++j) {
    sum += static_cast<double>(exp(logits[j] - largest));
    if (sum > u * total) return static_cast<std::int32_t>(j);
  }
  return static_cast<std::int32_t>(classes - 1);
}

// What a gradient is multiplied by so that its norm is at most max_norm (kernels/norms.h). NaN stays NaN.
ACTGRAD_HOST_DEVICE inline double clip_factor(double squared_norm, double max_norm, double eps) {
  using std::sqrt;
  const double factor = max_norm / (sqrt(squared_norm) + eps);
  return factor > 1 ? 1 : factor;
}
// What it is multiplied by so that its norm is rho.
ACTGRAD_HOST_DEVICE inline double unit_factor(double squared_norm, double rho) {
  using std::sqrt;
  return rho / (sqrt(squared_norm) + 1e-12);
}

// Optimizer steps. The constants are computed in double and rounded once.

template <class T>
struct SgdConstants {
  T lr, momentum, gain, weight_decay;  // gain = 1 − dampening
  bool nesterov, first;
};

template <class T>
ACTGRAD_HOST_DEVICE inline SgdConstants<T> sgd_constants(const SgdStep& s) {
  return {T(s.lr), T(s.momentum), T(1 - s.dampening), T(s.weight_decay), s.nesterov, s.first};
}

template <class T>
ACTGRAD_HOST_DEVICE inline T sgd_plain(T p, T g, const SgdConstants<T>& k) {
  return p - k.lr * (g + k.weight_decay * p);
}

template <class T>
ACTGRAD_HOST_DEVICE inline void sgd_momentum(T& p, T g, T& buffer, const SgdConstants<T>& k) {
  const T d = g + k.weight_decay * p;
  const T moved = k.momentum * buffer + k.gain * d;
  buffer = k.first ? d : moved;
  p -= k.lr * (k.nesterov ? d + k.momentum * buffer : buffer);
}

template <class T>
struct AdamConstants {
  T rate;          // lr / (1 − β₁ᵗ)
  T beta1, gain1;  // gain = 1 − β
  T beta2, gain2;
  T inverse_root;  // 1/√(1 − β₂ᵗ)
  T eps;
  T l2;    // weight decay as a part of the gradient (Adam)
  T keep;  // 1 − lr·wd: decoupled weight decay (AdamW)
};

template <class T>
ACTGRAD_HOST_DEVICE inline AdamConstants<T> adam_constants(const AdamStep& s) {
  using std::sqrt;
  return {.rate = T(s.lr / s.correction1),
          .beta1 = T(s.beta1),
          .gain1 = T(1 - s.beta1),
          .beta2 = T(s.beta2),
          .gain2 = T(1 - s.beta2),
          .inverse_root = T(1 / sqrt(s.correction2)),
          .eps = T(s.eps),
          .l2 = T(s.decoupled ? 0 : s.weight_decay),
          .keep = T(s.decoupled ? 1 - s.lr * s.weight_decay : 1)};
}

template <class T>
ACTGRAD_HOST_DEVICE inline void adam(T& p, T gradient, T& m, T& v, const AdamConstants<T>& k) {
  using std::sqrt;
  const T g = gradient + k.l2 * p;
  m = k.beta1 * m + k.gain1 * g;
  v = k.beta2 * v + k.gain2 * g * g;
  p = k.keep * p - k.rate * quotient_or_zero(m, sqrt(v) * k.inverse_root + k.eps);
}

template <class T>
struct AdanConstants {
  T lr;
  T beta1, gain1;  // gain = 1 − β
  T beta2, gain2;
  T beta3, gain3;
  T m_share, v_share;  // 1/(1 − β₁ᵗ), β₂/(1 − β₂ᵗ)
  T inverse_root;      // 1/√(1 − β₃ᵗ)
  T eps;
  T keep;    // 1 − lr·wd (decoupled)
  T shrink;  // 1/(1 + lr·wd) (proximal)
  bool first;
};

template <class T>
ACTGRAD_HOST_DEVICE inline AdanConstants<T> adan_constants(const AdanStep& s) {
  using std::sqrt;
  return {.lr = T(s.lr),
          .beta1 = T(s.beta1),
          .gain1 = T(1 - s.beta1),
          .beta2 = T(s.beta2),
          .gain2 = T(1 - s.beta2),
          .beta3 = T(s.beta3),
          .gain3 = T(1 - s.beta3),
          .m_share = T(1 / s.correction1),
          .v_share = T(s.beta2 / s.correction2),
          .inverse_root = T(1 / sqrt(s.correction3)),
          .eps = T(s.eps),
          .keep = T(s.proximal ? 1 : 1 - s.lr * s.weight_decay),
          .shrink = T(s.proximal ? 1 / (1 + s.lr * s.weight_decay) : 1),
          .first = s.first};
}

template <class T>
ACTGRAD_HOST_DEVICE inline void adan(T& p, T g, T& m, T& v, T& n, T& previous, const AdanConstants<T>& k) {
  using std::sqrt;
  const T d = k.first ? T(0) : g - previous, ahead = g + k.beta2 * d;
  m = (k.first ? T(0) : k.beta1 * m) + k.gain1 * g;
  v = (k.first ? T(0) : k.beta2 * v) + k.gain2 * d;
  n = (k.first ? T(0) : k.beta3 * n) + k.gain3 * ahead * ahead;
  previous = g;
  const T u = quotient_or_zero(k.m_share * m + k.v_share * v, sqrt(n) * k.inverse_root + k.eps);
  p = k.shrink * (k.keep * p - k.lr * u);
}

template <class T>
struct LambConstants {
  T beta1, gain1;  // gain = 1 − β
  T beta2, gain2;
  T inverse_correction1;
  T inverse_root;  // 1/√(1 − β₂ᵗ)
  T eps, weight_decay;

  // Those of a tensor that decays, or does not.
  ACTGRAD_HOST_DEVICE LambConstants of(bool decays) const {
    LambConstants k = *this;
    if (!decays) k.weight_decay = T(0);
    return k;
  }
};

template <class T>
ACTGRAD_HOST_DEVICE inline LambConstants<T> lamb_constants(const LambStep& s) {
  using std::sqrt;
  return {T(s.beta1), T(1 - s.beta1),   T(s.beta2), T(1 - s.beta2), T(1 / s.correction1), T(1 / sqrt(s.correction2)),
          T(s.eps),   T(s.weight_decay)};
}

template <class T>
ACTGRAD_HOST_DEVICE inline void lamb_moments(T g, T& m, T& v, const LambConstants<T>& k) {
  m = k.beta1 * m + k.gain1 * g;
  v = k.beta2 * v + k.gain2 * g * g;
}

template <class T>
ACTGRAD_HOST_DEVICE inline T lamb_direction(T p, T m, T v, const LambConstants<T>& k) {
  using std::sqrt;
  return quotient_or_zero(k.inverse_correction1 * m, sqrt(v) * k.inverse_root + k.eps) + k.weight_decay * p;
}

// ‖p‖/‖u‖, at most `max`; 1 if either is 0.
ACTGRAD_HOST_DEVICE inline double trust_ratio(double squares_of_p, double squares_of_u, double max) {
  using std::sqrt;
  const double ratio = squares_of_p > 0 && squares_of_u > 0 ? sqrt(squares_of_p / squares_of_u) : 1;
  return ratio < max ? ratio : max;
}

template <class T>
struct AdaActConstants {
  T rate;          // lr / (1 − β₁ᵗ)
  T plain_rate;    // lr
  T beta1, gain1;  // gain = 1 − β
  T keep;          // 1 − lr·wd
  T inverse_correction2, eps, low, high;
  T exponent;  // p

  // Those of a piece that decays, or does not.
  ACTGRAD_HOST_DEVICE AdaActConstants of(bool decays) const {
    AdaActConstants k = *this;
    if (!decays) k.keep = T(1);
    return k;
  }
};

template <class T>
ACTGRAD_HOST_DEVICE inline AdaActConstants<T> adaact_constants(const AdaActStep& s) {
  return {T(s.lr / s.correction1), T(s.lr),  T(s.beta1), T(1 - s.beta1), T(1 - s.lr * s.weight_decay),
          T(1 / s.correction2),    T(s.eps), T(s.low),   T(s.high),      T(s.exponent)};
}

template <class T>
ACTGRAD_HOST_DEVICE inline void adaact(T& p, T g, T& m, T column_rate, const AdaActConstants<T>& k) {
  m = k.beta1 * m + k.gain1 * g;
  p = k.keep * p - k.rate * (m * column_rate);
}

template <class T>
ACTGRAD_HOST_DEVICE inline T adaact_plain(T p, T g, const AdaActConstants<T>& k) {
  return k.keep * p - k.plain_rate * g;
}

template <class T>
ACTGRAD_HOST_DEVICE inline T adaact_rate(T v, const AdaActConstants<T>& k) {
  using std::pow, std::sqrt;
  const T corrected = v * k.inverse_correction2;
  const T raised = corrected < k.low ? k.low : corrected;
  const T clamped = raised > k.high ? k.high : raised;
  return quotient_or_zero(T(1), (k.exponent == T(0.5) ? sqrt(clamped) : pow(clamped, k.exponent)) + k.eps);
}

}  // namespace actgrad::kernels::formulas
