#include "kernels/vector_math.h"

#include <vector>

#include "kernels/activations.h"
#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

// The largest error over `inputs`, in units of the last place of the exact result.
template <class T, class Found, class Exact>
double worst(const std::vector<T>& inputs, const Found& found, const Exact& exact) {
  double largest = 0;
  for (const T x : inputs) {
    const long double wanted = exact(static_cast<long double>(x));
    const double unit = std::max(std::ldexp(1.0, std::ilogb(static_cast<double>(wanted))) *
                                     static_cast<double>(std::numeric_limits<T>::epsilon()),
                                 static_cast<double>(std::numeric_limits<T>::min()));
    largest = std::max(largest, static_cast<double>(std::abs(static_cast<long double>(found(x)) - wanted)) / unit);
  }
  return largest;
}

// Of all sizes and both signs, none beyond `limit`.
template <class T>
std::vector<T> inputs(double limit) {
  std::vector<T> values = {T(0)};
  Random random(3, Purpose::test);
  for (int i = 0; i < 20000; ++i) {
    values.push_back(static_cast<T>(random.uniform(-limit, limit)));
    values.push_back(static_cast<T>(limit * std::exp(random.uniform(-30, 0)) * (i % 2 ? 1 : -1)));
  }
  return values;
}

}  // namespace

TEMPLATE_TEST_CASE("exponentials and what is made of them are right to the last places", "", float, double) {
  using T = TestType;
  const double limit = sizeof(T) == 4 ? 85 : 700;
  CHECK(worst(inputs<T>(limit), vector_math::expm1<T>, [](long double x) { return std::expm1(x); }) < 3);
  CHECK(worst(inputs<T>(limit), vector_math::tanh<T>, [](long double x) { return std::tanh(x); }) < 5);
  CHECK(worst(inputs<T>(limit), vector_math::sigmoid<T>, [](long double x) { return 1 / (1 + std::exp(-x)); }) < 4);
  CHECK(worst(inputs<T>(limit), vector_math::elu<T>, [](long double x) { return x > 0 ? x : std::expm1(x); }) < 3);
}

TEMPLATE_TEST_CASE("exponentials saturate, and NaN stays NaN", "", float, double) {
  using T = TestType;
  const T infinity = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  CHECK(vector_math::expm1(-infinity) == T(-1));
  CHECK(std::isfinite(vector_math::expm1(infinity)));
  CHECK(vector_math::sigmoid(infinity) == T(1));
  CHECK(vector_math::sigmoid(-infinity) >= T(0));
  CHECK(vector_math::sigmoid(-infinity) < T(1e-37));
  CHECK(vector_math::tanh(infinity) == T(1));
  CHECK(vector_math::tanh(-infinity) == T(-1));
  CHECK(vector_math::elu(infinity) == infinity);
  CHECK(vector_math::elu(-infinity) == T(-1));
  for (const auto function :
       {vector_math::expm1<T>, vector_math::sigmoid<T>, vector_math::tanh<T>, vector_math::elu<T>})
    CHECK(std::isnan(function(nan)));
}

TEMPLATE_TEST_CASE("activations of tensors are those functions, and their slopes", "", float, double) {
  using T = TestType;
  const double tolerance = sizeof(T) == 4 ? 1e-6 : 1e-14;
  const Tensor x = random_tensor<T>({3, 57}, 1, -4, 4), dy = random_tensor<T>({3, 57}, 2);
  Tensor y = x.clone(), dx = x.clone();
  const auto check = [&](Activation kind, const auto& value, const auto& slope) {
    activation_forward(kind, x, y);
    activation_backward(kind, dy, y, dx, Write::overwrite);
    Tensor twice = dx.clone();
    activation_backward(kind, dy, y, twice, Write::accumulate);
    const auto in = doubles(x), out = doubles(y), given = doubles(dy), found = doubles(dx), added = doubles(twice);
    for (std::size_t i = 0; i < in.size(); ++i) {
      CHECK(out[i] == Approx(value(in[i])).margin(tolerance));
      CHECK(found[i] == Approx(given[i] * slope(in[i])).margin(4 * tolerance));
      CHECK(added[i] == Approx(2 * found[i]).margin(4 * tolerance));
    }
  };
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  check(Activation::sigmoid, sigmoid, [&](double v) { return sigmoid(v) * sigmoid(-v); });
  check(
      Activation::tanh, [](double v) { return std::tanh(v); },
      [](double v) { return 1 / (std::cosh(v) * std::cosh(v)); });
  check(
      Activation::elu, [](double v) { return v > 0 ? v : std::expm1(v); },
      [](double v) { return v > 0 ? 1 : std::exp(v); });
}
