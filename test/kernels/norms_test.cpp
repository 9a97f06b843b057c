#include "kernels/norms.h"

#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

double item(const Tensor& x) {
  return x.data<double>()[0];
}

Tensor squared(double norm) {
  return Tensor::from<double>({1}, {norm * norm});
}

}  // namespace

TEMPLATE_TEST_CASE("the squared norm is a sum in double, overwriting or added", "", float, double) {
  Tensor norm = Tensor::from<double>({1}, {5});
  for (const std::int64_t n : {0, 1, 7, 100003}) {
    CAPTURE(n);
    const Tensor x = random_tensor<TestType>({n}, 1);
    squared_norm(x, norm, Write::overwrite);
    CHECK(item(norm) == Approx(dot(x, x)).epsilon(1e-13));
    squared_norm(x, norm, Write::accumulate);
    CHECK(item(norm) == Approx(2 * dot(x, x)).epsilon(1e-13));
  }
  // A float's square may be larger than every float.
  squared_norm(Tensor::from<TestType>({2}, {TestType(3e30), TestType(4e30)}), norm, Write::overwrite);
  CHECK(std::sqrt(item(norm)) == Approx(5e30).epsilon(1e-6));
}

TEST_CASE("the squared norm is the same bits every time") {
  const Tensor x = random_tensor<float>({300001}, 1);
  Tensor first = squared(0), second = squared(0);
  squared_norm(x, first, Write::overwrite);
  squared_norm(x, second, Write::overwrite);
  CHECK(item(first) == item(second));
}

TEMPLATE_TEST_CASE("clipping scales down to the largest norm, and never up", "", float, double) {
  const Tensor g = Tensor::from<TestType>({2}, {3, -4});
  const auto clipped = [&](double norm, double max_norm, double eps) {
    Tensor result = g.clone();
    clip_by_norm(result, squared(norm), max_norm, eps);
    return doubles(result);
  };
  const double tolerance = sizeof(TestType) == 4 ? 1e-6 : 1e-15;
  CHECK(distance(clipped(5, 1, 0), {0.6, -0.8}) < tolerance);
  CHECK(distance(clipped(5, 1, 5), {0.3, -0.4}) < tolerance);
  CHECK(clipped(5, 5, 0) == std::vector<double>{3, -4});
  CHECK(clipped(5, 6, 1e-6) == std::vector<double>{3, -4});
  CHECK(clipped(0, 1, 0) == std::vector<double>{3, -4});  // no division by zero
  for (const double value : clipped(NAN, 1, 1e-6)) CHECK(std::isnan(value));
}

TEMPLATE_TEST_CASE("a step of a given length along the gradient", "", float, double) {
  Tensor p = Tensor::from<TestType>({2}, {1, 1});
  const Tensor g = Tensor::from<TestType>({2}, {3, -4});
  const double tolerance = sizeof(TestType) == 4 ? 1e-6 : 1e-12;
  add_scaled_by_norm(p, g, squared(5), 0.05);
  CHECK(distance(p, {1.03, 0.96}) < tolerance);
  add_scaled_by_norm(p, g, squared(5), -0.05);
  CHECK(distance(p, {1, 1}) < tolerance);
  add_scaled_by_norm(p, Tensor::zeros({2}, p.dtype()), squared(0), 0.05);  // no gradient, no step
  CHECK(distance(p, {1, 1}) < tolerance);
}

TEST_CASE("norms refuse what does not fit") {
  Tensor g = random_tensor<float>({4}, 1), two = Tensor::zeros({2}, DType::float64);
  Tensor single = Tensor::zeros({1}, DType::float32), norm = squared(1);
  CHECK_THROWS_AS(squared_norm(g, two, Write::overwrite), InternalError);
  CHECK_THROWS_AS(clip_by_norm(g, single, 1, 0), InternalError);
  CHECK_THROWS_AS(add_scaled_by_norm(g, random_tensor<float>({3}, 2), norm, 1), InternalError);
}
