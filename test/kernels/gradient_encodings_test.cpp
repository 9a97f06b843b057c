#include "kernels/gradient_encodings.h"

#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

TEMPLATE_TEST_CASE("the logarithmic encoding of gradients", "", float, double) {
  const std::vector<TestType> gradients = {
      0,  1, -1, TestType(std::exp(-5)), TestType(-std::exp(-5)), TestType(std::exp(-12)), TestType(-std::exp(-12)),
      100};
  const Tensor g = Tensor::from<TestType>({8}, gradients);
  Tensor features = Tensor::zeros({2, 8}, g.dtype());
  log_encoding(g, features);
  const std::vector<double> expected = {-1,
                                        0,
                                        0,
                                        -0.5,
                                        -0.5,
                                        -1,
                                        -1,
                                        std::log(100.0) / 10,  //
                                        0,
                                        1,
                                        -1,
                                        1,
                                        -1,
                                        std::exp(-2),
                                        -std::exp(-2),
                                        1};
  const std::vector<double> found = doubles(features);
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == Approx(expected[i]).margin(1e-5));
}

TEMPLATE_TEST_CASE("RNNprop sees the gradient and its average as Adam does", "", float, double) {
  const Tensor g = random_tensor<TestType>({9}, 1);
  Tensor m = Tensor::zeros({9}, g.dtype()), v = m.clone(), features = Tensor::zeros({2, 9}, g.dtype());
  const double beta = 0.95;
  for (int t = 1; t <= 3; ++t) rms_encoding(g, {beta, 1 - std::pow(beta, t)}, m, v, features);
  // Of equal gradients, the corrected averages are the gradient and its square at every step.
  const std::vector<double> gradients = doubles(g), found = doubles(features);
  for (std::size_t i = 0; i < 9; ++i) {
    const double direction = gradients[i] / (std::abs(gradients[i]) + 1e-8);
    CHECK(found[i] == Approx(direction).margin(1e-5));
    CHECK(found[i + 9] == Approx(direction).margin(1e-5));
  }
}
