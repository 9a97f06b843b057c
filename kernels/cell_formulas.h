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

// One moving average and how much of it is real: a = rate·a + (1 − rate)·input, hat = rate·hat + (1 − rate).
template <class T>
ACTGRAD_HOST_DEVICE inline void move_average(T rate, T input, T& average, T& hat) {
  const T gain = T(1) - rate;
  average = rate * average + gain * input;
  hat = rate * hat + gain;
}

// From the gradients of both after the step to that of the rate's logit; those before it are rate times as large.
template <class T>
ACTGRAD_HOST_DEVICE inline T rate_gradient(T rate, T input, T average, T hat, T daverage, T dhat) {
  return (daverage * (average - input) + dhat * (hat - T(1))) * rate * (T(1) - rate);
}

// f.template operator()<place>(): the place is known to the compiler, which then finds no branch in a loop.
template <class F>
void visit_place(EpsilonPlace place, const F& f) {
  if (place == EpsilonPlace::inside)
    f.template operator()<EpsilonPlace::inside>();
  else
    f.template operator()<EpsilonPlace::outside>();
}

template <EpsilonPlace place, class T>
ACTGRAD_HOST_DEVICE inline T candidate_root(T v) {  // of ṽ
  using std::sqrt;
  return place == EpsilonPlace::inside ? sqrt(v + cell_epsilon<T>) : sqrt(v) + cell_epsilon<T>;
}

template <EpsilonPlace place, class T>
ACTGRAD_HOST_DEVICE inline T adam_candidate(T m, T v, T beta_hat, T gamma_hat) {
  return m / (beta_hat + cell_epsilon<T>) / candidate_root<place>(v / (gamma_hat + cell_epsilon<T>));
}

// Adds the gradient of adam_candidate, times d.
template <EpsilonPlace place, class T>
ACTGRAD_HOST_DEVICE inline void add_candidate_gradient(T d, T m, T v, T beta_hat, T gamma_hat, T& dm, T& dv,
                                                       T& dbeta_hat, T& dgamma_hat) {
  using std::sqrt;
  const T share = T(1) / (beta_hat + cell_epsilon<T>), square_share = T(1) / (gamma_hat + cell_epsilon<T>);
  const T corrected = m * share, square = v * square_share, root = candidate_root<place>(square), of_m = d / root;
  // d root/dṽ = 1/(2·√…), infinite at ṽ = 0 with ε outside: there m is 0 too, and the limit is taken as 0.
  const T inner = place == EpsilonPlace::inside ? root : sqrt(square);
  const T slope = of_m * corrected / (T(-2) * root * inner), of_v = inner > T(0) ? slope : T(0);
  dm += of_m * share;
  dv += of_v * square_share;
  dbeta_hat -= of_m * corrected * share;
  dgamma_hat -= of_v * square * square_share;
}

}  // namespace actgrad::kernels::formulas
