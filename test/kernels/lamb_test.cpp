#include "kernels/lamb.h"

#include <limits>

#include "kernels/parallel.h"
#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

constexpr LambStep some_step{.lr = 0.1,
                             .beta1 = 0.9,
                             .beta2 = 0.99,
                             .eps = 1e-6,
                             .weight_decay = 0.3,
                             .correction1 = 0.19,
                             .correction2 = 0.0199,
                             .trust_max = std::numeric_limits<double>::infinity()};

// The definition, tensor by tensor, in double. Returns the ratios.
std::vector<double> plain_lamb(std::vector<double>& p, const std::vector<double>& g, std::vector<double>& m,
                               std::vector<double>& v, const std::vector<LambTensor>& tensors, const LambStep& s) {
  std::vector<double> ratios;
  for (const LambTensor& tensor : tensors) {
    const auto begin = static_cast<std::size_t>(tensor.begin), end = static_cast<std::size_t>(tensor.end);
    std::vector<double> u;
    double norm_p = 0, norm_u = 0;
    for (std::size_t i = begin; i < end; ++i) {
      m[i] = s.beta1 * m[i] + (1 - s.beta1) * g[i];
      v[i] = s.beta2 * v[i] + (1 - s.beta2) * g[i] * g[i];
      u.push_back(m[i] / s.correction1 / (std::sqrt(v[i] / s.correction2) + s.eps));
      if (tensor.decays) u.back() += s.weight_decay * p[i];
      norm_p += p[i] * p[i];
      norm_u += u.back() * u.back();
    }
    double ratio = norm_p > 0 && norm_u > 0 ? std::sqrt(norm_p) / std::sqrt(norm_u) : 1;
    ratio = tensor.decays && !u.empty() ? std::min(ratio, s.trust_max) : 1;
    for (std::size_t i = begin; i < end; ++i) p[i] -= s.lr * ratio * u[i - begin];
    ratios.push_back(ratio);
  }
  return ratios;
}

}  // namespace

TEMPLATE_TEST_CASE("steps of LAMB: every tensor by its own norms, the rest stays", "", float, double) {
  const std::int64_t size = 60000;
  const double trust_max = GENERATE(std::numeric_limits<double>::infinity(), 0.7);
  // More than one chunk, one element, none, without decay, and what lies between them.
  const std::vector<LambTensor> list = {
      {16, 45017, true}, {45018, 45019, true}, {45020, 45020, true}, {45024, 53000, false}, {59999, 60000, false}};
  LambStep s = some_step;
  s.trust_max = trust_max;
  Tensor p = random_tensor<TestType>({size}, 1), m = random_tensor<TestType>({size}, 2);
  Tensor v = random_tensor<TestType>({size}, 3, 0, 1);
  const Tensor g = random_tensor<TestType>({size}, 4);
  std::vector<double> expected_p = doubles(p), expected_m = doubles(m), expected_v = doubles(v);
  const std::vector<double> ratios = plain_lamb(expected_p, doubles(g), expected_m, expected_v, list, s);

  const LambTensors tensors(list, Device{});
  const Tensor found = lamb_moments(p, g, m, v, tensors, s);
  lamb_step(p, m, v, tensors, found, s);
  const double tolerance = sizeof(TestType) == 4 ? 2e-6 : 1e-13;
  CHECK(distance(found, ratios) < tolerance);
  CHECK(distance(m, expected_m) < tolerance);
  CHECK(distance(v, expected_v) < tolerance);
  CHECK(distance(p, expected_p) < tolerance);
}

TEST_CASE("a trust ratio is 1 where a norm is zero, and NaN shows") {
  Tensor p = Tensor::from<double>({4}, {0, 0, 1, 1}), m = Tensor::zeros({4}, DType::float64), v = m.clone();
  const Tensor g = Tensor::from<double>({4}, {1, 2, 0, 0});
  LambStep s = some_step;
  s.weight_decay = 0;  // else u would not be zero where the gradient is
  const LambTensors tensors({{0, 2, true}, {2, 4, true}}, Device{});
  const Tensor ratios = lamb_moments(p, g, m, v, tensors, s);
  CHECK(doubles(ratios) == std::vector<double>{1, 1});
  lamb_step(p, m, v, tensors, ratios, s);
  CHECK(doubles(p)[2] == 1);
  CHECK(doubles(p)[0] != 0);

  const Tensor broken = Tensor::from<double>({4}, {NAN, 0, 0, 0});
  lamb_step(p, m, v, tensors, lamb_moments(p, broken, m, v, tensors, s), s);
  CHECK(std::isnan(doubles(p)[0]));
}

TEST_CASE("LAMB's norms do not depend on the number of threads") {
  const std::int64_t size = 200000;
  const Tensor p = random_tensor<float>({size}, 1), g = random_tensor<float>({size}, 2);
  const LambTensors tensors({{0, size, true}}, Device{});
  std::vector<double> ratios;
  const int before = threads();
  for (const int count : {1, 2, 5}) {
    set_threads(count);
    Tensor m = Tensor::zeros({size}, DType::float32), v = m.clone();
    ratios.push_back(doubles(lamb_moments(p, g, m, v, tensors, some_step)).front());
  }
  set_threads(before);
  CHECK(ratios[1] == ratios[0]);
  CHECK(ratios[2] == ratios[0]);
}

TEST_CASE("steps of LAMB refuse what does not fit") {
  Tensor p = random_tensor<float>({8}, 1), m = p.clone(), v = p.clone();
  const Tensor g = p.clone(), shorter = random_tensor<float>({7}, 1);
  const LambTensors fits({{0, 8, true}}, Device{}), outside({{0, 9, true}}, Device{});
  CHECK_THROWS_AS(lamb_moments(p, shorter, m, v, fits, some_step), InternalError);
  CHECK_THROWS_AS(lamb_moments(p, g, m, v, outside, some_step), InternalError);
  CHECK_THROWS_AS(lamb_step(p, m, v, fits, Tensor::zeros({2}, DType::float64), some_step), InternalError);
}
