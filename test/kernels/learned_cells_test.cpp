// The kernels of learned optimizers against plain loops in double. Their ways back: test/layers/cells_test.cpp.
#include "kernels/adam_candidates.h"
#include "kernels/feature_rows.h"
#include "kernels/lstm.h"
#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 2e-6 : 1e-14;

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

}  // namespace

TEMPLATE_TEST_CASE("rows are biased, normalised and multiplied as said", "", float, double) {
  const std::size_t rows = 3, n = GENERATE(std::size_t{1}, std::size_t{37}, std::size_t{40000});
  const Shape shape{static_cast<std::int64_t>(rows), static_cast<std::int64_t>(n)};
  const Tensor a = random_tensor<TestType>(shape, 1), b = random_tensor<TestType>(shape, 2);
  const Tensor bias = random_tensor<TestType>({3}, 3);
  const std::vector<double> left = doubles(a), right = doubles(b), biases = doubles(bias);
  Tensor y = a.clone(), normalised = a.clone(), scales = Tensor::zeros({3}, DType::float64);
  Tensor dots = Tensor::empty({shape[1]}, a.dtype()), sums = bias.clone();
  row_bias_forward(bias, y);
  row_bias_backward(a, sums, Write::accumulate);
  row_normalise_forward(a, normalised, scales);
  row_dot_forward(a, b, dots);
  const std::vector<double> biased = doubles(y), unit = doubles(normalised), product = doubles(dots),
                            added = doubles(sums);
  for (std::size_t r = 0; r < rows; ++r) {
    double sum = biases[r], squares = 0, worst = 0;
    for (std::size_t i = 0; i < n; ++i) {
      sum += left[r * n + i];
      squares += left[r * n + i] * left[r * n + i];
      worst = std::max(worst, std::abs(biased[r * n + i] - biases[r]));
    }
    for (std::size_t i = 0; i < n; ++i)
      worst = std::max(worst, std::abs(unit[r * n + i] - left[r * n + i] / std::sqrt(squares + 1e-16)));
    CHECK(worst < tolerance<TestType>);
    CHECK(added[r] == Approx(sum).epsilon(100 * tolerance<TestType>).margin(tolerance<TestType>));
  }
  double worst = 0;
  for (std::size_t i = 0; i < n; ++i) {
    double sum = 0;
    for (std::size_t r = 0; r < rows; ++r) sum += left[r * n + i] * right[r * n + i];
    worst = std::max(worst, std::abs(product[i] - sum));
  }
  CHECK(worst < tolerance<TestType>);
}

TEMPLATE_TEST_CASE("a row of zeros stays zeros when it is normalised", "", float, double) {
  const Tensor x = Tensor::zeros({1, 9}, random_tensor<TestType>({1}, 0).dtype());
  Tensor y = x.clone(), scales = Tensor::zeros({1}, DType::float64);
  row_normalise_forward(x, y, scales);
  CHECK(doubles(y) == std::vector<double>(9, 0));
}

TEMPLATE_TEST_CASE("an LSTM's units", "", float, double) {
  const std::size_t count = 2 * 33;
  const Tensor gates = random_tensor<TestType>({8, 33}, 1, -3, 3), before = random_tensor<TestType>({2, 33}, 2);
  Tensor c = before.clone(), h = before.clone();
  lstm_forward(gates, before, 1.0, c, h);
  const std::vector<double> gate = doubles(gates), old = doubles(before), found_c = doubles(c), found_h = doubles(h);
  for (std::size_t e = 0; e < count; ++e) {
    const double next = sigmoid(gate[e + 2 * count] + 1) * old[e] + sigmoid(gate[e]) * std::tanh(gate[e + count]);
    CHECK(found_c[e] == Approx(next).margin(tolerance<TestType>));
    CHECK(found_h[e] == Approx(sigmoid(gate[e + 3 * count]) * std::tanh(next)).margin(tolerance<TestType>));
  }
}

TEMPLATE_TEST_CASE("HyperAdam's averages and candidates, with epsilon in both places", "", float, double) {
  // Averages of squares of usual size, and some so small that where ε stands makes a difference.
  const auto place = GENERATE(EpsilonPlace::inside, EpsilonPlace::outside);
  const double size = GENERATE(1.0, sizeof(TestType) == 4 ? 1e-12 : 1e-13);
  const std::size_t candidates = 2, n = 19;
  const Shape shape{2, 19};
  const Tensor decay = random_tensor<TestType>({4, 19}, 1, -2, 2), g = random_tensor<TestType>({19}, 2, -size, size);
  const AdamAverages before{random_tensor<TestType>(shape, 3, -size, size),
                            random_tensor<TestType>(shape, 4, 0, size * size), random_tensor<TestType>(shape, 5, 0, 1),
                            random_tensor<TestType>(shape, 6, 0, 1)};
  AdamAverages after{before.m.clone(), before.v.clone(), before.m.clone(), before.m.clone()};
  Tensor result = before.m.clone();
  adam_candidates_forward(decay, g, before, place, after, result);
  const auto logits = doubles(decay), gradients = doubles(g), m = doubles(before.m), v = doubles(before.v),
             beta_hat = doubles(before.beta_hat), gamma_hat = doubles(before.gamma_hat), found = doubles(result),
             found_m = doubles(after.m), found_gamma = doubles(after.gamma_hat);
  for (std::size_t e = 0; e < candidates * n; ++e) {
    const double beta = sigmoid(logits[e]), gamma = sigmoid(logits[e + candidates * n]), gradient = gradients[e % n];
    const double next_m = beta * m[e] + (1 - beta) * gradient,
                 next_v = gamma * v[e] + (1 - gamma) * gradient * gradient;
    const double real = beta * beta_hat[e] + 1 - beta, square_real = gamma * gamma_hat[e] + 1 - gamma;
    const double square = next_v / square_real;
    const double root = place == EpsilonPlace::inside ? std::sqrt(square + 1e-24) : std::sqrt(square) + 1e-24;
    const double margin = 10 * tolerance<TestType>;
    CHECK(found_m[e] == Approx(next_m).margin(margin * size));
    CHECK(found_gamma[e] == Approx(square_real).margin(margin));
    CHECK(found[e] == Approx(next_m / real / root).epsilon(margin).margin(margin));
  }
}
