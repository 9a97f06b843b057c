// What both directions of kernels/hyperadam.h share on the CPU: sizes, and the weights as the products want them.
#pragma once

#include <cmath>
#include <vector>

#include "kernels/coordinate_block.h"
#include "kernels/hyperadam.h"
#include "kernels/parallel.h"

namespace actgrad::kernels::hyperadam {

inline constexpr std::int64_t units = 20, lanes_of_block = coordinate_block;
inline constexpr std::int64_t feature = units * lanes_of_block;  // elements of 20 features in a block
inline constexpr std::int64_t state_size = 6 * feature, trace_size = 9 * feature;

// Where the features of a block begin.
enum State : std::int64_t {
  c_at = 0,
  s_at = feature,
  m_at = 2 * feature,
  v_at = 3 * feature,
  beta_at = 4 * feature,
  gamma_at = 5 * feature
};
enum Trace : std::int64_t {
  x_at = 0,
  gates_at = feature,
  tanh_at = 5 * feature,
  rates_at = 6 * feature,
  rho_at = 8 * feature
};

inline std::int64_t blocks_of(std::int64_t n) {
  return (n + lanes_of_block - 1) / lanes_of_block;
}
// Blocks that are worth a thread.
inline constexpr std::int64_t block_grain = 2;

// Matrices that act on several inputs as one: [W_input | W_hidden] (80, 40), [K_state | K_momentum] (40, 40).
template <class T>
struct PackedWeights {
  const T *preprocess, *preprocess_bias, *state_bias, *adam_bias, *weight, *weight_bias;
  std::vector<T> state, adam;

  explicit PackedWeights(const HyperAdamWeights& w)
      : preprocess(w.preprocess_weight.data<T>()),
        preprocess_bias(w.preprocess_bias.data<T>()),
        state_bias(w.state_bias.data<T>()),
        adam_bias(w.adam_bias.data<T>()),
        weight(w.weight_weight.data<T>()),
        weight_bias(w.weight_bias.data<T>()),
        state(side_by_side(w.state_input, w.state_hidden)),
        adam(side_by_side(w.adam_state, w.adam_momentum)) {}

 private:
  static std::vector<T> side_by_side(const Tensor& left, const Tensor& right) {
    std::vector<T> packed;
    for (std::int64_t r = 0; r < left.dim(0); ++r)
      for (const Tensor& part : {left, right}) {
        const T* row = part.data<T>() + r * part.dim(1);
        packed.insert(packed.end(), row, row + part.dim(1));
      }
    return packed;
  }
};

// The scales of a trace, or of a step without one.
struct Scales {
  double values[1 + 2 * units] = {};
  double& of_g() { return values[0]; }
  double& of_s(std::int64_t f) { return values[1 + f]; }
  double& of_m(std::int64_t f) { return values[1 + units + f]; }
  double of_g() const { return values[0]; }
  double of_s(std::int64_t f) const { return values[1 + f]; }
  double of_m(std::int64_t f) const { return values[1 + units + f]; }
};

// sums[i] over all blocks: body(first, last, sums) adds those of a thread's blocks.
template <class Body>
std::vector<double> sum_over_blocks(std::int64_t blocks, std::size_t count, const Body& body) {
  const auto parts = static_cast<std::size_t>(threads_for(blocks, block_grain));
  std::vector<double> partial(parts * count), sums(count);
  parallel_for(blocks, block_grain, [&](Range range, int part) {
    body(range.begin, range.end, partial.data() + static_cast<std::size_t>(part) * count);
  });
  for (std::size_t i = 0; i < partial.size(); ++i) sums[i % count] += partial[i];
  return sums;
}

// The lanes of a block's vector g that hold coordinates; the rest: 0.
template <class T>
void load_lanes(const Tensor& vector, std::int64_t block, T* to) {
  const std::int64_t first = block * lanes_of_block, count = std::min(lanes_of_block, vector.numel() - first);
  std::copy_n(vector.data<T>() + first, count, to);
  std::fill(to + count, to + lanes_of_block, T(0));
}

}  // namespace actgrad::kernels::hyperadam
