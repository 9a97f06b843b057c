#include "kernels/hyperadam.h"

#include "kernels/activation_formulas.h"
#include "kernels/cell_formulas.h"
#include "kernels/dispatch.h"
#include "kernels/elementwise.h"
#include "kernels/hyperadam_packed.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

using namespace hyperadam;

template <class T, EpsilonPlace place>
struct Forward {
  const PackedWeights<T>& weights;
  const Tensor &g, &before, &after;
  const HyperAdamTrace* trace;

  const T* from(std::int64_t block) const { return before.data<T>() + block * state_size; }
  T* to(std::int64_t block) const { return after.data<T>() + block * state_size; }
  T* traced(std::int64_t block) const { return trace ? trace->values.data<T>() + block * trace_size : nullptr; }

  // c and s of a block; adds Σ s² and Σ m² to sums (40).
  void first_pass(std::int64_t block, T scale_of_g, double* sums) const;
  // The rest of its state, and d.
  void second_pass(std::int64_t block, const Scales& scales, T* d) const;
  // What lies behind the last coordinate stays zero: it has no part in any norm.
  void clear_padding(std::int64_t block, T* state, std::int64_t features) const {
    const std::int64_t used = g.numel() - block * lanes_of_block;
    if (used >= lanes_of_block) return;
    for (std::int64_t f = 0; f < features; ++f)
      std::fill(state + f * lanes_of_block + used, state + (f + 1) * lanes_of_block, T(0));
  }
};

template <class T, EpsilonPlace place>
void Forward<T, place>::first_pass(std::int64_t block, T scale_of_g, double* sums) const {
  T gradient[lanes_of_block], inputs[2 * feature], untraced_gates[4 * feature], untraced_tanh[feature];
  T* const saved = traced(block);
  T *const gates = saved ? saved + gates_at : untraced_gates, *const tanh_c = saved ? saved + tanh_at : untraced_tanh;
  load_lanes(g, block, gradient);
  for (std::int64_t f = 0; f < units; ++f)
#pragma omp simd
    for (std::int64_t i = 0; i < lanes_of_block; ++i)
      inputs[f * lanes_of_block + i] =
          vector_math::elu(weights.preprocess[f] * (gradient[i] * scale_of_g) + weights.preprocess_bias[f]);
  std::copy_n(from(block) + s_at, feature, inputs + feature);
  block_product(4 * units, 2 * units, weights.state.data(), weights.state_bias, inputs, gates);

  const T* const c_before = from(block) + c_at;
  T *const c = to(block) + c_at, *const s = to(block) + s_at;
#pragma omp simd
  for (std::int64_t e = 0; e < feature; ++e) {
    const auto unit = formulas::lstm_unit(gates[e], gates[e + feature], gates[e + 2 * feature], gates[e + 3 * feature],
                                          c_before[e], T(1));
    c[e] = unit.c;
    s[e] = unit.h();
    gates[e] = unit.input;
    gates[e + feature] = unit.candidate;
    gates[e + 2 * feature] = unit.forget;
    gates[e + 3 * feature] = unit.output;
    tanh_c[e] = unit.tanh_c;
  }
  if (saved) std::copy_n(inputs, feature, saved + x_at);
  clear_padding(block, c, 2 * units);
  const T* const m = from(block) + m_at;
  for (std::int64_t f = 0; f < units; ++f) {
    sums[f] += block_dot(s + f * lanes_of_block, s + f * lanes_of_block);
    sums[units + f] += block_dot(m + f * lanes_of_block, m + f * lanes_of_block);
  }
}

template <class T, EpsilonPlace place>
void Forward<T, place>::second_pass(std::int64_t block, const Scales& scales, T* d) const {
  const T *const s = to(block) + s_at, *const old = from(block);
  T gradient[lanes_of_block], normalised[2 * feature], untraced_rates[2 * feature], untraced_rho[feature];
  T* const saved = traced(block);
  T *const rates = saved ? saved + rates_at : untraced_rates, *const rho = saved ? saved + rho_at : untraced_rho;
  load_lanes(g, block, gradient);
  for (std::int64_t f = 0; f < units; ++f) {
    const T of_s = T(scales.of_s(f)), of_m = T(scales.of_m(f));
#pragma omp simd
    for (std::int64_t i = 0; i < lanes_of_block; ++i) {
      const std::int64_t e = f * lanes_of_block + i;
      normalised[e] = s[e] * of_s;
      normalised[feature + e] = old[m_at + e] * of_m;
    }
  }
  block_product(2 * units, 2 * units, weights.adam.data(), weights.adam_bias, normalised, rates);
  block_product(units, units, weights.weight, weights.weight_bias, s, rho);

  // One function per loop: loops over several are not turned into vector code.
#pragma omp simd
  for (std::int64_t e = 0; e < 2 * feature; ++e) rates[e] = vector_math::sigmoid(rates[e]);
#pragma omp simd
  for (std::int64_t e = 0; e < feature; ++e) rho[e] = vector_math::elu(rho[e]);
  T* const next = to(block);
  std::fill_n(d, lanes_of_block, T(0));
  for (std::int64_t f = 0; f < units; ++f)
#pragma omp simd
    for (std::int64_t i = 0; i < lanes_of_block; ++i) {
      const std::int64_t e = f * lanes_of_block + i;
      T m = old[m_at + e], v = old[v_at + e], beta_hat = old[beta_at + e], gamma_hat = old[gamma_at + e];
      formulas::move_average(rates[e], gradient[i], m, beta_hat);
      formulas::move_average(rates[e + feature], gradient[i] * gradient[i], v, gamma_hat);
      next[m_at + e] = m;
      next[v_at + e] = v;
      next[beta_at + e] = beta_hat;
      next[gamma_at + e] = gamma_hat;
      d[i] += rho[e] * formulas::adam_candidate<place>(m, v, beta_hat, gamma_hat);
    }
  clear_padding(block, next + m_at, 4 * units);
}

double scale_of(double squares) {
  return 1 / std::sqrt(squares + 1e-16);
}

template <class T, EpsilonPlace place>
void run(const Tensor& g, const HyperAdamWeights& weights, const HyperAdamReading& reading, const Tensor& before,
         Tensor& after, Tensor& d, HyperAdamTrace* trace) {
  const PackedWeights<T> packed(weights);
  const Forward<T, place> forward{packed, g, before, after, trace};
  const std::int64_t blocks = blocks_of(g.numel());
  Scales scales;
  scales.of_g() = scale_of(sum_of_squares(g));
  const std::vector<double> sums =
      sum_over_blocks(blocks, 2 * units, [&](std::int64_t first, std::int64_t last, double* part) {
        for (std::int64_t block = first; block < last; ++block) forward.first_pass(block, T(scales.of_g()), part);
      });
  for (std::int64_t f = 0; f < units; ++f) {
    scales.of_s(f) = reading.normalise_state ? scale_of(sums[static_cast<std::size_t>(f)]) : 1;
    scales.of_m(f) = scale_of(sums[static_cast<std::size_t>(units + f)]);
  }
  parallel_for(blocks, block_grain, [&](Range range, int) {
    T direction[lanes_of_block];
    for (std::int64_t block = range.begin; block < range.end; ++block) {
      forward.second_pass(block, scales, direction);
      const std::int64_t first = block * lanes_of_block;
      std::copy_n(direction, std::min(lanes_of_block, g.numel() - first), d.data<T>() + first);
    }
  });
  if (trace) std::copy_n(scales.values, 1 + 2 * units, trace->scales.data<double>());
}

void check_state(const Tensor& state, const Tensor& g) {
  ACTGRAD_CHECK(state.shape() == hyperadam_state_shape(g.numel()) && state.dtype() == g.dtype(),
                state.shape().to_string());
}

// The matrix products' multiply-adds, and about 30 operations for each of the 180 exponentials and roots.
Work work_of(const Tensor& g, const Tensor& state) {
  return {.bytes = 2 * bytes_of(state) + 2 * bytes_of(g),
          .flops = (2 * 5220 + 30 * 180) * static_cast<double>(g.numel())};
}

}  // namespace

Shape hyperadam_state_shape(std::int64_t n) {
  return {blocks_of(n), hyperadam_features, coordinate_block};
}

HyperAdamTrace hyperadam_trace(std::int64_t n, DType dtype, Device device) {
  return {Tensor::empty({blocks_of(n), 9 * units, coordinate_block}, dtype, device),
          Tensor::empty({1 + 2 * units}, DType::float64, device)};
}

void hyperadam_forward(const Tensor& g, const HyperAdamWeights& weights, const HyperAdamReading& reading,
                       const Tensor& before, Tensor& after, Tensor& d, HyperAdamTrace* trace) {
  check_state(before, g);
  check_state(after, g);
  ACTGRAD_CHECK(d.numel() == g.numel() && d.dtype() == g.dtype(), d.shape().to_string());
  const WorkScope work("hyperadam_forward", work_of(g, after));
  ACTGRAD_DISPATCH(hyperadam_forward, g, g, weights, reading, before, after, d, trace);
  visit_floating(g.dtype(), [&]<class T>() {
    formulas::visit_place(reading.epsilon,
                          [&]<EpsilonPlace place>() { run<T, place>(g, weights, reading, before, after, d, trace); });
  });
}

}  // namespace actgrad::kernels
