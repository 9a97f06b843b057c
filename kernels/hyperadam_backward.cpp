// The way back through kernels/hyperadam.h.
#include "kernels/activation_formulas.h"
#include "kernels/cell_formulas.h"
#include "kernels/dispatch.h"
#include "kernels/hyperadam_packed.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

using namespace hyperadam;

// Sums of a thread's blocks: a row per output, the inputs' columns, then one for the bias.
template <class T>
struct WeightSums {
  static constexpr std::int64_t wide = padded_columns<T>(2 * units), narrow = padded_columns<T>(units);
  std::vector<T> state, adam, weight;
  std::vector<double> preprocess_sums;
  WeightSums() : state(4 * units * wide), adam(2 * units * wide), weight(units * narrow), preprocess_sums(2 * units) {}
};

template <class T>
std::vector<T> transposed(std::int64_t rows, std::int64_t columns, const T* matrix) {
  std::vector<T> result(static_cast<std::size_t>(rows * columns));
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t k = 0; k < columns; ++k) result[static_cast<std::size_t>(k * rows + r)] = matrix[r * columns + k];
  return result;
}

template <class T, EpsilonPlace place>
struct Backward {
  const Tensor &g, &before, &after, &dafter, &dd, &dbefore;
  const HyperAdamTrace& trace;
  Scales scales;
  std::vector<T> state_transposed, adam_transposed, weight_transposed;

  const T* at(const Tensor& state, std::int64_t block) const { return state.data<T>() + block * state_size; }
  T* to(std::int64_t block) const { return dbefore.data<T>() + block * state_size; }
  const T* traced(std::int64_t block) const { return trace.values.data<T>() + block * trace_size; }

  // Through the sum d, AdamCell and WeightCell. Leaves in dbefore the gradients of v, β̂, γ̂, and those of s and m but
  // for what goes through their norms; adds Σ ds̄·s, Σ dm̄·m to sums (40).
  void second_pass(std::int64_t block, WeightSums<T>& into, double* sums) const;
  // Through the norms, StateCell and the preprocessing. shares (40): the sums times the squares of the scales.
  void first_pass(std::int64_t block, const T* shares, WeightSums<T>& into) const;
};

template <class T, EpsilonPlace place>
void Backward<T, place>::second_pass(std::int64_t block, WeightSums<T>& into, double* sums) const {
  T gradient[lanes_of_block], of_d[lanes_of_block], drates[2 * feature], dq[feature];
  load_lanes(g, block, gradient);
  load_lanes(dd, block, of_d);
  const T *const old = at(before, block), *const now = at(after, block), *const given = at(dafter, block);
  const T *const rates = traced(block) + rates_at, *const rho = traced(block) + rho_at;
  T* const result = to(block);
  for (std::int64_t f = 0; f < units; ++f)
#pragma omp simd
    for (std::int64_t i = 0; i < lanes_of_block; ++i) {
      const std::int64_t e = f * lanes_of_block + i;
      const T m = now[m_at + e], v = now[v_at + e], beta_hat = now[beta_at + e], gamma_hat = now[gamma_at + e];
      const T beta = rates[e], gamma = rates[e + feature], square = gradient[i] * gradient[i];
      T dm = given[m_at + e], dv = given[v_at + e], dbeta = given[beta_at + e], dgamma = given[gamma_at + e];
      formulas::add_candidate_gradient<place>(of_d[i] * rho[e], m, v, beta_hat, gamma_hat, dm, dv, dbeta, dgamma);
      drates[e] = formulas::rate_gradient(beta, gradient[i], old[m_at + e], old[beta_at + e], dm, dbeta);
      drates[e + feature] = formulas::rate_gradient(gamma, square, old[v_at + e], old[gamma_at + e], dv, dgamma);
      result[m_at + e] = beta * dm;
      result[v_at + e] = gamma * dv;
      result[beta_at + e] = beta * dbeta;
      result[gamma_at + e] = gamma * dgamma;
      const T candidate = formulas::adam_candidate<place>(m, v, beta_hat, gamma_hat);
      dq[e] = of_d[i] * candidate * formulas::Elu::slope(rho[e]);
    }

  T through_rates[2 * feature], through_rho[feature], normalised[2 * feature];
  block_product<T>(2 * units, 2 * units, adam_transposed.data(), nullptr, drates, through_rates);
  block_product<T>(units, units, weight_transposed.data(), nullptr, dq, through_rho);
  const T* const s = now + s_at;
  for (std::int64_t f = 0; f < units; ++f) {
    const T of_s = T(scales.of_s(f)), of_m = T(scales.of_m(f));
    T *const ds = through_rates + f * lanes_of_block, *const dm = ds + feature;
#pragma omp simd
    for (std::int64_t i = 0; i < lanes_of_block; ++i) {
      const std::int64_t e = f * lanes_of_block + i;
      ds[i] *= of_s;
      dm[i] *= of_m;
      result[s_at + e] = given[s_at + e] + ds[i] + through_rho[e];
      result[m_at + e] += dm[i];
      normalised[e] = s[e] * of_s;
      normalised[feature + e] = old[m_at + e] * of_m;
    }
    sums[f] += block_dot(ds, s + f * lanes_of_block);
    sums[units + f] += block_dot(dm, old + m_at + f * lanes_of_block);
  }
  using Sums = WeightSums<T>;
  T inputs[lanes_of_block * Sums::wide] = {};
  transpose_block(2 * units, normalised, Sums::wide, inputs);
  add_outer_products(2 * units, drates, Sums::wide, inputs, into.adam.data());
  transpose_block(units, s, Sums::narrow, inputs);
  add_outer_products(units, dq, Sums::narrow, inputs, into.weight.data());
}

template <class T, EpsilonPlace place>
void Backward<T, place>::first_pass(std::int64_t block, const T* shares, WeightSums<T>& into) const {
  const T *const old = at(before, block), *const now = at(after, block), *const given = at(dafter, block);
  const T *const saved = traced(block), *const gates = saved + gates_at, *const tanh_c = saved + tanh_at;
  T* const result = to(block);
  T dgates[4 * feature];
  for (std::int64_t f = 0; f < units; ++f) {
    const T of_s = shares[f], of_m = shares[units + f];
#pragma omp simd
    for (std::int64_t i = 0; i < lanes_of_block; ++i) {
      const std::int64_t e = f * lanes_of_block + i;
      result[m_at + e] -= of_m * old[m_at + e];
      const T ds = result[s_at + e] - of_s * now[s_at + e];
      const formulas::LstmUnit<T> unit{
          gates[e], gates[e + feature], gates[e + 2 * feature], gates[e + 3 * feature], now[c_at + e], tanh_c[e]};
      const auto back = formulas::lstm_gradient(given[c_at + e], ds, unit, old[c_at + e]);
      dgates[e] = back.i;
      dgates[e + feature] = back.j;
      dgates[e + 2 * feature] = back.f;
      dgates[e + 3 * feature] = back.o;
      result[c_at + e] = back.c_previous;
    }
  }
  T through[2 * feature], inputs[2 * feature], gradient[lanes_of_block];
  block_product<T>(2 * units, 4 * units, state_transposed.data(), nullptr, dgates, through);
  std::copy_n(through + feature, feature, result + s_at);

  std::copy_n(saved + x_at, feature, inputs);
  std::copy_n(old + s_at, feature, inputs + feature);
  load_lanes(g, block, gradient);
  T ones[lanes_of_block];
  std::fill_n(ones, lanes_of_block, T(1));
  for (std::int64_t f = 0; f < units; ++f) {
    T* const dx = through + f * lanes_of_block;
#pragma omp simd
    for (std::int64_t i = 0; i < lanes_of_block; ++i) dx[i] *= formulas::Elu::slope(inputs[f * lanes_of_block + i]);
    into.preprocess_sums[static_cast<std::size_t>(f)] += block_dot(dx, gradient);
    into.preprocess_sums[static_cast<std::size_t>(units + f)] += block_dot(dx, ones);
  }
  using Sums = WeightSums<T>;
  T columns[lanes_of_block * Sums::wide] = {};
  transpose_block(2 * units, inputs, Sums::wide, columns);
  add_outer_products(4 * units, dgates, Sums::wide, columns, into.state.data());
}

// left (rows, 20), right (rows, 20) or undefined, bias (rows) += the columns of `sums`.
template <class T>
void add_sums(const std::vector<T>& sums, std::int64_t padded, const Tensor& left, const Tensor& right,
              const Tensor& bias) {
  const std::int64_t rows = bias.numel();
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* row = sums.data() + r * padded;
    for (const Tensor& part : {left, right}) {
      if (!part) continue;
      for (std::int64_t k = 0; k < units; ++k) part.data<T>()[r * units + k] += *row++;
    }
    bias.data<T>()[r] += *row;
  }
}

template <class T>
void add_to(const WeightSums<T>& sums, double scale_of_g, const HyperAdamWeights& d) {
  using Sums = WeightSums<T>;
  add_sums(sums.state, Sums::wide, d.state_input, d.state_hidden, d.state_bias);
  add_sums(sums.adam, Sums::wide, d.adam_state, d.adam_momentum, d.adam_bias);
  add_sums(sums.weight, Sums::narrow, d.weight_weight, {}, d.weight_bias);
  for (std::int64_t f = 0; f < units; ++f) {
    d.preprocess_weight.data<T>()[f] += T(scale_of_g * sums.preprocess_sums[static_cast<std::size_t>(f)]);
    d.preprocess_bias.data<T>()[f] += T(sums.preprocess_sums[static_cast<std::size_t>(units + f)]);
  }
}

template <class T, EpsilonPlace place>
void run(const Backward<T, place>& backward, bool normalise_state, const HyperAdamWeights& dweights) {
  const std::int64_t blocks = blocks_of(backward.g.numel());
  std::vector<WeightSums<T>> parts(static_cast<std::size_t>(threads_for(blocks, block_grain)));
  std::vector<double> partial(parts.size() * 2 * units);
  parallel_for(blocks, block_grain, [&](Range range, int part) {
    const auto index = static_cast<std::size_t>(part);
    for (std::int64_t block = range.begin; block < range.end; ++block)
      backward.second_pass(block, parts[index], partial.data() + index * 2 * units);
  });
  T shares[2 * units];
  for (std::int64_t f = 0; f < 2 * units; ++f) {
    double sum = 0;
    for (auto i = static_cast<std::size_t>(f); i < partial.size(); i += 2 * units) sum += partial[i];
    const double scale = f < units ? backward.scales.of_s(f) : backward.scales.of_m(f - units);
    shares[f] = f < units && !normalise_state ? T(0) : T(scale * scale * sum);
  }
  parallel_for(blocks, block_grain, [&](Range range, int part) {
    for (std::int64_t block = range.begin; block < range.end; ++block)
      backward.first_pass(block, shares, parts[static_cast<std::size_t>(part)]);
  });
  for (const WeightSums<T>& sums : parts) add_to(sums, backward.scales.of_g(), dweights);
}

}  // namespace

void hyperadam_backward(const Tensor& g, const HyperAdamWeights& weights, const HyperAdamReading& reading,
                        const Tensor& before, const Tensor& after, const HyperAdamTrace& trace, const Tensor& dafter,
                        const Tensor& dd, Tensor& dbefore, HyperAdamWeights& dweights) {
  ACTGRAD_CHECK(g.device().is_cpu(), "HyperAdam's fused way back is there for the CPU only");
  for (const Tensor& state : {before, after, dafter, dbefore})
    ACTGRAD_CHECK(state.shape() == hyperadam_state_shape(g.numel()), state.shape().to_string());
  visit_floating(g.dtype(), [&]<class T>() {
    const PackedWeights<T> packed(weights);
    formulas::visit_place(reading.epsilon, [&]<EpsilonPlace place>() {
      Backward<T, place> backward{g,
                                  before,
                                  after,
                                  dafter,
                                  dd,
                                  dbefore,
                                  trace,
                                  {},
                                  transposed(4 * units, 2 * units, packed.state.data()),
                                  transposed(2 * units, 2 * units, packed.adam.data()),
                                  transposed(units, units, packed.weight)};
      std::copy_n(trace.scales.data<double>(), 1 + 2 * units, backward.scales.values);
      run(backward, reading.normalise_state, dweights);
    });
  });
}

}  // namespace actgrad::kernels
