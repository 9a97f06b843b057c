// The cells of learned optimizers for one coordinate, shared by every device's kernels: one unit of an LSTM, one
// candidate of HyperAdam's, and their derivatives.
#pragma once

#include "kernels/adam_candidates.h"
#include "kernels/vector_math.h"

namespace actgrad::kernels::formulas {

template <class T>
struct LstmUnit {
  T input, candidate, forget, output;  // σ(i), tanh(j), σ(f + bias), σ(o)
  T c, tanh_c;
  ACTGRAD_HOST_DEVICE T h() const { return output * tanh_c; }
};

template <class T>
ACTGRAD_HOST_DEVICE inline LstmUnit<T> lstm_unit(T i, T j, T f, T o, T c_previous, T forget_bias) {
  LstmUnit<T> unit;
  unit.input = vector_math::sigmoid(i);
  unit.candidate = vector_math::tanh(j);
  unit.forget = vector_math::sigmoid(f + forget_bias);
  unit.output = vector_math::sigmoid(o);
  unit.c = unit.forget * c_previous + unit.input * unit.candidate;
  unit.tanh_c = vector_math::tanh(unit.c);
  return unit;
}

template <class T>
struct LstmGradient {
  T i, j, f, o, c_previous;
};

template <class T>
ACTGRAD_HOST_DEVICE inline LstmGradient<T> lstm_gradient(T dc, T dh, const LstmUnit<T>& u, T c_previous) {
  const T whole = dc + dh * u.output * (T(1) - u.tanh_c * u.tanh_c);  // through h as well
  return {whole * u.candidate * u.input * (T(1) - u.input), whole * u.input * (T(1) - u.candidate * u.candidate),
          whole * c_previous * u.forget * (T(1) - u.forget), dh * u.tanh_c * u.output * (T(1) - u.output),
          whole * u.forget};
}

template <class T>
inline constexpr T cell_epsilon = T(1e-24);

// The averages of one candidate, or their gradients.
template <class T>
struct Averages {
  T m, v, beta_hat, gamma_hat;
};

template <class T>
ACTGRAD_HOST_DEVICE inline Averages<T> moved_averages(T beta, T gamma, T g, const Averages<T>& a) {
  const T gain = T(1) - beta, square_gain = T(1) - gamma;
  return {beta * a.m + gain * g, gamma * a.v + square_gain * g * g, beta * a.beta_hat + gain,
          gamma * a.gamma_hat + square_gain};
}

template <class T>
ACTGRAD_HOST_DEVICE inline T candidate_root(T v, EpsilonPlace place) {  // of ṽ
  using std::sqrt;
  return place == EpsilonPlace::inside ? sqrt(v + cell_epsilon<T>) : sqrt(v) + cell_epsilon<T>;
}

template <class T>
ACTGRAD_HOST_DEVICE inline T adam_candidate(const Averages<T>& a, EpsilonPlace place) {
  const T m = a.m / (a.beta_hat + cell_epsilon<T>), v = a.v / (a.gamma_hat + cell_epsilon<T>);
  return m / candidate_root(v, place);
}

// The gradient of adam_candidate times `d`.
template <class T>
ACTGRAD_HOST_DEVICE inline Averages<T> candidate_gradient(T d, const Averages<T>& a, EpsilonPlace place) {
  using std::sqrt;
  const T share = T(1) / (a.beta_hat + cell_epsilon<T>), square_share = T(1) / (a.gamma_hat + cell_epsilon<T>);
  const T m = a.m * share, v = a.v * square_share, root = candidate_root(v, place);
  const T dm = d / root;
  // d root/dv = 1/(2·√…), infinite at v = 0 with ε outside: there m is 0 too, and the limit is taken as 0.
  const T inner = place == EpsilonPlace::inside ? root : sqrt(v);
  const T dv = inner > T(0) ? -(dm * m / root) / (T(2) * inner) : T(0);
  return {dm * share, dv * square_share, -dm * m * share, -dv * v * square_share};
}

// From the gradients of the averages after a step to those of the rates and of the averages before it.
template <class T>
struct DecayGradient {
  T beta, gamma;  // of the logits
  Averages<T> before;
};

template <class T>
ACTGRAD_HOST_DEVICE inline DecayGradient<T> decay_gradient(const Averages<T>& d, T beta, T gamma, T g,
                                                           const Averages<T>& before) {
  const T dbeta = d.m * (before.m - g) + d.beta_hat * (before.beta_hat - T(1));
  const T dgamma = d.v * (before.v - g * g) + d.gamma_hat * (before.gamma_hat - T(1));
  return {dbeta * beta * (T(1) - beta),
          dgamma * gamma * (T(1) - gamma),
          {beta * d.m, gamma * d.v, beta * d.beta_hat, gamma * d.gamma_hat}};
}

}  // namespace actgrad::kernels::formulas
