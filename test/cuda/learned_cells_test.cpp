// The kernels of learned optimizers.
#include "kernels/activations.h"
#include "kernels/adam_candidates.h"
#include "kernels/feature_rows.h"
#include "kernels/gradient_encodings.h"
#include "kernels/hyperadam.h"
#include "kernels/lstm.h"
#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 3e-6 : 1e-13;

// More than one block of threads, where that is not slow.
std::int64_t many() {
  return watched() ? 70 : 700;
}

}  // namespace

TEMPLATE_TEST_CASE("activations agree with the CPU", "", float, double) {
  const auto kind = GENERATE(Activation::sigmoid, Activation::tanh, Activation::elu);
  const auto mode = GENERATE(Write::overwrite, Write::accumulate);
  const Tensor x = random_tensor<TestType>({3, many()}, 1), dy = random_tensor<TestType>({3, many()}, 2);
  check_parity({x, dy, x.clone(), x.clone()}, tolerance<TestType>, [&](auto& t) {
    activation_forward(kind, t[0], t[2]);
    activation_backward(kind, t[1], t[2], t[3], mode);
  });
}

TEMPLATE_TEST_CASE("functions of feature rows agree with the CPU", "", float, double) {
  const auto mode = GENERATE(Write::overwrite, Write::accumulate);
  const Tensor x = random_tensor<TestType>({5, many()}, 1), dy = random_tensor<TestType>({5, many()}, 2);
  const Tensor bias = random_tensor<TestType>({5}, 3), dots = random_tensor<TestType>({many()}, 4);
  check_parity({bias, x.clone(), dy}, tolerance<TestType>, [&](auto& t) {
    row_bias_backward(t[2], t[0], mode);
    row_bias_forward(t[0], t[1]);
  });
  const Tensor scales = Tensor::zeros({5}, DType::float64);
  check_parity({x, x.clone(), scales, dy, dy.clone()}, tolerance<TestType>, [&](auto& t) {
    row_normalise_forward(t[0], t[1], t[2]);
    row_normalise_backward(t[3], t[1], t[2], t[4], mode);
  });
  check_parity({x, dy, dots, x.clone()}, tolerance<TestType>, [&](auto& t) {
    row_dot_forward(t[0], t[1], t[2]);
    row_dot_backward(t[2], t[1], t[3], mode);
  });
}

TEMPLATE_TEST_CASE("an LSTM's elementwise part agrees with the CPU", "", float, double) {
  const Tensor gates = random_tensor<TestType>({12, many()}, 1), c = random_tensor<TestType>({3, many()}, 2);
  check_parity({gates, c, c.clone(), c.clone(), gates.clone(), c.clone()}, tolerance<TestType>, [&](auto& t) {
    lstm_forward(t[0], t[1], 1.0, t[2], t[3]);
    lstm_backward(t[0], t[1], 1.0, t[2], t[3], {t[4], Write::accumulate}, {t[5], Write::overwrite});
    lstm_backward(t[0], t[1], 1.0, {}, t[3], {t[4], Write::accumulate}, {});
  });
}

TEMPLATE_TEST_CASE("HyperAdam's candidates agree with the CPU", "", float, double) {
  const auto place = GENERATE(EpsilonPlace::inside, EpsilonPlace::outside);
  const Shape shape{3, many()};
  const auto positive = [&](std::uint64_t stream) { return random_tensor<TestType>(shape, stream, 0.2, 1); };
  const Tensor decay = random_tensor<TestType>({6, many()}, 1), g = random_tensor<TestType>({many()}, 2);
  const Tensor d = random_tensor<TestType>(shape, 3);
  std::vector<Tensor> tensors = {decay, g, d, random_tensor<TestType>(shape, 4), positive(5), positive(6), positive(7)};
  for (int i = 0; i < 9; ++i) tensors.push_back(positive(static_cast<std::uint64_t>(8 + i)));
  tensors.push_back(decay.clone());
  check_parity(tensors, 10 * tolerance<TestType>, [&](auto& t) {
    const AdamAverages before{t[3], t[4], t[5], t[6]};
    AdamAverages after{t[7], t[8], t[9], t[10]};
    adam_candidates_forward(t[0], t[1], before, place, after, t[11]);
    adam_candidates_backward(t[0], t[1], before, after, place, {t[2], {}, t[2], {}}, {}, {t[16], Write::accumulate},
                             {{t[12], Write::overwrite}, {t[13], Write::accumulate}, {}, {t[15], Write::overwrite}});
  });
}

TEMPLATE_TEST_CASE("encodings of gradients agree with the CPU", "", float, double) {
  const Tensor g = random_tensor<TestType>({many()}, 1), m = random_tensor<TestType>({many()}, 2);
  const Tensor v = random_tensor<TestType>({many()}, 3, 0, 1), features = Tensor::zeros({2, many()}, g.dtype());
  check_parity({g, features}, tolerance<TestType>, [](auto& t) { log_encoding(t[0], t[1]); });
  check_parity({g, m, v, features}, 10 * tolerance<TestType>, [](auto& t) {
    rms_encoding(t[0], {0.95, 0.0975}, t[1], t[2], t[3]);
  });
}

TEMPLATE_TEST_CASE("HyperAdam's steps agree with the CPU", "", float, double) {
  const HyperAdamReading reading{.normalise_state = GENERATE(true, false), .epsilon = EpsilonPlace::inside};
  const std::int64_t n = GENERATE(1, 150);
  const auto weight = [](const Shape& shape, std::uint64_t stream) {
    return random_tensor<TestType>(shape, stream, -0.4, 0.4);
  };
  const std::vector<Tensor> tensors = {
      weight({20, 1}, 1),  weight({20}, 2),
      weight({80, 20}, 3), weight({80, 20}, 4),
      weight({80}, 5),     weight({40, 20}, 6),
      weight({40, 20}, 7), weight({40}, 8),
      weight({20, 20}, 9), weight({20}, 10),
      weight({n}, 11),     weight({n}, 12),
      weight({n}, 13),     Tensor::zeros(hyperadam_state_shape(n), weight({1}, 1).dtype())};
  check_parity(tensors, sizeof(TestType) == 4 ? 2e-4 : 1e-12, [&](auto& t) {
    const HyperAdamWeights weights{t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9]};
    hyperadam_forward(t[10], weights, reading, t[13], t[13], t[12], nullptr);
    hyperadam_forward(t[11], weights, reading, t[13], t[13], t[12], nullptr);
  });
}
