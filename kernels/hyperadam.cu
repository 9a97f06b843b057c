// One thread per coordinate: it holds what its cells need in registers; the weights are read from the cache, the same
// by all threads of a warp. A block of threads has one block of coordinates, whose features are neighbours in memory.
#include "kernels/hyperadam.h"

#include "kernels/activation_formulas.h"
#include "kernels/cell_formulas.h"
#include "kernels/cuda/elementwise.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

constexpr int units = 20, lanes = 64, features = units * lanes;
constexpr int s_at = features, m_at = 2 * features, v_at = 3 * features, beta_at = 4 * features,
              gamma_at = 5 * features, state_size = 6 * features;

template <class T>
struct Weights {
  const T *preprocess, *preprocess_bias, *state_input, *state_hidden, *state_bias, *adam_state, *adam_momentum,
      *adam_bias, *weight, *weight_bias;
  explicit Weights(const HyperAdamWeights& w)
      : preprocess(w.preprocess_weight.data<T>()),
        preprocess_bias(w.preprocess_bias.data<T>()),
        state_input(w.state_input.data<T>()),
        state_hidden(w.state_hidden.data<T>()),
        state_bias(w.state_bias.data<T>()),
        adam_state(w.adam_state.data<T>()),
        adam_momentum(w.adam_momentum.data<T>()),
        adam_bias(w.adam_bias.data<T>()),
        weight(w.weight_weight.data<T>()),
        weight_bias(w.weight_bias.data<T>()) {}
};

// bias + Σ_k w[k]·x[k]
template <class T>
__device__ T unit_sum(T start, const T* w, const T (&x)[units]) {
  for (int k = 0; k < units; ++k) start += w[k] * x[k];
  return start;
}

// c and s of every coordinate; partial (blocks, 40): Σ s², Σ m² of each block. squares: Σ g².
template <class T>
__global__ void first_pass(std::int64_t n, Weights<T> w, const T* g, const double* squares, const T* before, T* after,
                           double* partial) {
  const std::int64_t block = std::int64_t{blockIdx.x} * state_size, i = std::int64_t{blockIdx.x} * lanes + threadIdx.x;
  const int lane = static_cast<int>(threadIdx.x);
  const bool inside = i < n;
  const T direction = inside ? g[i] * T(1 / sqrt(*squares + 1e-16)) : T(0);
  T x[units], s[units];
  for (int f = 0; f < units; ++f) {
    x[f] = vector_math::elu(w.preprocess[f] * direction + w.preprocess_bias[f]);
    s[f] = before[block + s_at + f * lanes + lane];
  }
  for (int f = 0; f < units; ++f) {
    T gates[4];
    for (int gate = 0; gate < 4; ++gate) {
      const int row = gate * units + f;
      gates[gate] =
          unit_sum(unit_sum(w.state_bias[row], w.state_input + row * units, x), w.state_hidden + row * units, s);
    }
    const std::int64_t at = block + f * lanes + lane;
    const auto unit = formulas::lstm_unit(gates[0], gates[1], gates[2], gates[3], before[at], T(1));
    const T h = inside ? unit.h() : T(0), m = before[m_at + at];
    after[at] = inside ? unit.c : T(0);
    after[s_at + at] = h;
    const double of_s = cuda::block_sum(static_cast<double>(h) * static_cast<double>(h));
    const double of_m = cuda::block_sum(static_cast<double>(m) * static_cast<double>(m));
    if (lane != 0) continue;
    partial[std::int64_t{blockIdx.x} * 2 * units + f] = of_s;
    partial[std::int64_t{blockIdx.x} * 2 * units + units + f] = of_m;
  }
}

// One block per feature: scales[f] = 1/√(Σ partial + 1e-16), or 1 for s where it is not normalised.
__global__ void scale_kernel(std::int64_t blocks, const double* partial, bool normalise_state, double* scales) {
  double sum = 0;
  for (std::int64_t b = threadIdx.x; b < blocks; b += blockDim.x) sum += partial[b * 2 * units + blockIdx.x];
  sum = cuda::block_sum(sum);
  if (threadIdx.x == 0) scales[blockIdx.x] = blockIdx.x < units && !normalise_state ? 1 : 1 / sqrt(sum + 1e-16);
}

template <class T, EpsilonPlace place>
__global__ void second_pass(std::int64_t n, Weights<T> w, const T* g, const double* scales, const T* before, T* after,
                            T* d) {
  const std::int64_t block = std::int64_t{blockIdx.x} * state_size, i = std::int64_t{blockIdx.x} * lanes + threadIdx.x;
  const int lane = static_cast<int>(threadIdx.x);
  if (i >= n) {  // what lies behind the last coordinate stays zero
    for (int f = 2 * units; f < 6 * units; ++f) after[block + f * lanes + lane] = T(0);
    return;
  }
  T s[units], normalised[units], m[units];
  for (int f = 0; f < units; ++f) {
    s[f] = after[block + s_at + f * lanes + lane];
    normalised[f] = s[f] * T(scales[f]);
    m[f] = before[block + m_at + f * lanes + lane] * T(scales[units + f]);
  }
  const T gradient = g[i];
  T sum = T(0);
  for (int f = 0; f < units; ++f) {
    const auto rate = [&](int row) {
      return vector_math::sigmoid(unit_sum(unit_sum(w.adam_bias[row], w.adam_state + row * units, normalised),
                                           w.adam_momentum + row * units, m));
    };
    const T beta = rate(f), gamma = rate(units + f);
    const T rho = vector_math::elu(unit_sum(w.weight_bias[f], w.weight + f * units, s));
    const std::int64_t at = block + f * lanes + lane;
    T average = before[m_at + at], square = before[v_at + at], beta_hat = before[beta_at + at],
      gamma_hat = before[gamma_at + at];
    formulas::move_average(beta, gradient, average, beta_hat);
    formulas::move_average(gamma, gradient * gradient, square, gamma_hat);
    after[m_at + at] = average;
    after[v_at + at] = square;
    after[beta_at + at] = beta_hat;
    after[gamma_at + at] = gamma_hat;
    sum += rho * formulas::adam_candidate<place>(average, square, beta_hat, gamma_hat);
  }
  d[i] = sum;
}

template <class T>
void hyperadam_forward_of(const Tensor& g, const HyperAdamWeights& weights, const HyperAdamReading& reading,
                          const Tensor& before, Tensor& after, Tensor& d, HyperAdamTrace* trace) {
  ACTGRAD_CHECK(!trace, "HyperAdam's fused way back is there for the CPU only");
  const std::int64_t n = g.numel(), blocks = before.dim(0);
  if (n == 0) return;
  const Tensor squares = Tensor::empty({1}, DType::float64, g.device());
  const T* const gradient = g.data<T>();
  cuda::reduce(
      n, [=] __device__(std::int64_t i) { return static_cast<double>(gradient[i]) * static_cast<double>(gradient[i]); },
      [to = squares.data<double>()] __device__(double sum) { *to = sum; });
  const Tensor partial = Tensor::empty({blocks, 2 * units}, DType::float64, g.device());
  const Tensor scales = Tensor::empty({2 * units}, DType::float64, g.device());
  const Weights<T> w(weights);
  const auto grid = static_cast<unsigned>(blocks);
  cuda::launch(first_pass<T>, grid, lanes, 0, cuda::stream(), n, w, gradient, squares.data<double>(), before.data<T>(),
               after.data<T>(), partial.data<double>());
  cuda::launch(scale_kernel, static_cast<unsigned>(2 * units), cuda::block_size, 0, cuda::stream(), blocks,
               partial.data<double>(), reading.normalise_state, scales.data<double>());
  formulas::visit_place(reading.epsilon, [&]<EpsilonPlace place>() {
    cuda::launch(second_pass<T, place>, grid, lanes, 0, cuda::stream(), n, w, gradient, scales.data<double>(),
                 before.data<T>(), after.data<T>(), d.data<T>());
  });
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(hyperadam_forward, hyperadam_forward_of);

}  // namespace actgrad::kernels
