#include "kernels/elementwise.h"

#include <limits>

#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

// An odd size for the tails of vectors, and one that is worth several threads.
const std::vector<std::int64_t> sizes = {0, 1, 17, 100003};

// out[i] = f(i), on doubles.
template <class F>
std::vector<double> tabulate(std::int64_t n, const F& f) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < n; ++i) values.push_back(f(static_cast<std::size_t>(i)));
  return values;
}

template <class T>
void check_functions(std::int64_t n, double tolerance) {
  CAPTURE(n);
  const Tensor a = random_tensor<T>({n}, 1), b = random_tensor<T>({n}, 2);
  const std::vector<double> x = doubles(a), z = doubles(b);
  Tensor y = Tensor::empty({n}, a.dtype());

  relu_forward(a, y);
  CHECK(distance(y, tabulate(n, [&](std::size_t i) { return std::max(x[i], 0.0); })) == 0);
  const auto slope = tabulate(n, [&](std::size_t i) { return x[i] > 0 ? z[i] : 0; });
  Tensor dx = random_tensor<T>({n}, 3);
  const std::vector<double> sum_of_both = plus(dx, slope);
  relu_backward(b, y, dx, Write::accumulate);
  CHECK(distance(dx, sum_of_both) < tolerance);
  relu_backward(b, y, dx, Write::overwrite);
  CHECK(distance(dx, slope) == 0);

  add(a, b, y);
  CHECK(distance(y, tabulate(n, [&](std::size_t i) { return x[i] + z[i]; })) < tolerance);
  copy(a, y, Write::overwrite);
  CHECK(distance(y, a) == 0);
  copy(b, y, Write::accumulate);
  CHECK(distance(y, tabulate(n, [&](std::size_t i) { return x[i] + z[i]; })) < tolerance);
  scale(y, -3);
  CHECK(distance(y, tabulate(n, [&](std::size_t i) { return -3 * (x[i] + z[i]); })) < 4 * tolerance);
  y.copy_from(a);
  mix(y, 0.25, b, -2);
  CHECK(distance(y, tabulate(n, [&](std::size_t i) { return 0.25 * x[i] - 2 * z[i]; })) < 2 * tolerance);
  fill(y, 1.5);
  CHECK(distance(y, std::vector<double>(x.size(), 1.5)) == 0);

  double total = 0, squares = 0;
  for (double value : x) total += value, squares += value * value;
  CHECK(sum(a) == Approx(total).margin(1e-9));
  CHECK(sum_of_squares(a) == Approx(squares).epsilon(1e-12));
  CHECK(sum(a) == sum(a));
}

}  // namespace

TEST_CASE("elementwise functions and reductions follow their formulas") {
  for (const std::int64_t n : sizes) {
    check_functions<double>(n, 1e-14);
    check_functions<float>(n, 1e-6);
  }
}

TEST_CASE("functions work in place") {
  Tensor x = random_tensor<float>({1003}, 1);
  const std::vector<double> before = doubles(x);
  add(x, x, x);
  CHECK(distance(x, tabulate(1003, [&](std::size_t i) { return 2 * before[i]; })) == 0);
  relu_forward(x, x);
  CHECK(distance(x, tabulate(1003, [&](std::size_t i) { return std::max(0.0, 2 * before[i]); })) == 0);
}

TEST_CASE("cast rounds to float and widens to double") {
  const Tensor wide = random_tensor<double>({1003}, 1);
  Tensor narrow = Tensor::empty({1003}, DType::float32), back = Tensor::empty({1003}, DType::float64);
  cast(wide, narrow);
  const std::vector<double> x = doubles(wide);
  CHECK(distance(narrow, tabulate(1003, [&](std::size_t i) { return static_cast<float>(x[i]); })) == 0);
  cast(narrow, back);
  CHECK(distance(back, narrow) == 0);
}

TEST_CASE("cast to bfloat16 rounds to the nearest, ties to even, and back loses nothing") {
  const float one_up = 1 + 0x1p-7f;  // the next bfloat16 after 1
  const std::vector<float> values = {0.f,
                                     -0.f,
                                     1.f,
                                     -2.5f,
                                     1 + 0x1p-8f,             // half way from 1 to its successor: down to even
                                     1 + 0x1p-8f + 0x1p-20f,  // just above half way
                                     one_up + 0x1p-8f,        // half way: up to even
                                     one_up + 0x1p-8f - 0x1p-20f,
                                     0x1p-140f,  // below the normal range
                                     std::numeric_limits<float>::max(),
                                     INFINITY,
                                     -INFINITY};
  const std::vector<double> expected = {0, 0, 1, -2.5, 1, one_up, 1 + 0x1p-6, one_up, 0, INFINITY, INFINITY, -INFINITY};
  const std::int64_t n = static_cast<std::int64_t>(values.size());
  const Tensor x = Tensor::from({n}, values);
  Tensor narrow = Tensor::empty({n}, DType::bfloat16), back = Tensor::empty({n}, DType::float32);
  cast(x, narrow);
  cast(narrow, back);
  CHECK(doubles(back) == expected);
  CHECK(std::signbit(back.data<float>()[1]));

  Tensor again = Tensor::empty({n}, DType::bfloat16), wide = Tensor::empty({n}, DType::float64);
  cast(back, again);
  cast(again, wide);
  CHECK(doubles(wide) == expected);
  // What must not become infinite by rounding: every NaN, also one whose only bits are cut off.
  const std::vector<std::uint32_t> patterns = {0x7F800001u, 0xFFFFFFFFu, 0x7FC00000u};
  Tensor nans = Tensor::empty({3}, DType::float32), narrow_nans = Tensor::empty({3}, DType::bfloat16);
  std::memcpy(nans.raw(), patterns.data(), sizeof(std::uint32_t) * 3);
  cast(nans, narrow_nans);
  cast(narrow_nans, nans);
  for (const float value : nans.to_vector<float>()) CHECK(std::isnan(value));
}

TEST_CASE("cast adds when asked, but not in bfloat16") {
  const Tensor x = random_tensor<float>({1003}, 1);
  Tensor narrow = Tensor::empty({1003}, DType::bfloat16), rounded = Tensor::empty({1003}, DType::float32);
  cast(x, narrow);
  cast(narrow, rounded);
  CHECK(distance(rounded, x) <= 0x1p-9);  // half of the last bit of numbers below 1
  CHECK(distance(rounded, x) > 0x1p-11);
  Tensor sum = x.clone();
  const std::vector<double> a = doubles(x), b = doubles(rounded);
  cast(narrow, sum, Write::accumulate);
  CHECK(distance(sum, tabulate(1003, [&](std::size_t i) {
                   return static_cast<float>(a[i]) + static_cast<float>(b[i]);
                 })) == 0);
  CHECK_THROWS_AS(cast(x, narrow, Write::accumulate), InternalError);
}

TEMPLATE_TEST_CASE("all_finite finds one bad element anywhere", "", float, double) {
  using Limits = std::numeric_limits<TestType>;
  const std::int64_t n = 100003;
  Tensor x = random_tensor<TestType>({n}, 1);
  TestType* const values = x.template data<TestType>();
  values[5] = Limits::max();
  values[6] = -Limits::denorm_min();
  CHECK(all_finite(x));
  for (const std::int64_t at : {std::int64_t{0}, std::int64_t{50001}, n - 1})
    for (const TestType bad : {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity()}) {
      const TestType good = values[at];
      values[at] = bad;
      CHECK_FALSE(all_finite(x));
      values[at] = good;
    }
}

TEST_CASE("relu lets NaN through and stops negative values") {
  Tensor x = Tensor::from<float>({3}, {NAN, -1, 2}), y = Tensor::empty({3}, DType::float32);
  relu_forward(x, y);
  CHECK(std::isnan(y.data<float>()[0]));
  CHECK(y.data<float>()[1] == 0);
  CHECK(y.data<float>()[2] == 2);
}

TEST_CASE("dropout draws the mask of its stream, forwards and backwards") {
  const std::int64_t n = GENERATE(1, 6, 50003);
  const double keep = 0.7;
  const Tensor x = random_tensor<double>({n}, 1, 1, 2), dy = random_tensor<double>({n}, 2);
  const Random random(5, Purpose::dropout, 9);
  const auto kept = [&](std::size_t e) { return random.block(e / 4)[e % 4] < keep * 0x1p32; };
  Tensor y = Tensor::empty({n}, DType::float64), dx = random_tensor<double>({n}, 3);
  dropout_forward(x, keep, {5, 9, 0}, y);
  const std::vector<double> in = doubles(x), gradient = doubles(dy);
  CHECK(distance(y, tabulate(n, [&](std::size_t e) { return kept(e) ? in[e] / keep : 0; })) < 1e-14);
  const std::vector<double> expected = tabulate(n, [&](std::size_t e) { return kept(e) ? gradient[e] / keep : 0; });
  const std::vector<double> accumulated = plus(dx, expected);
  dropout_backward(dy, keep, {5, 9, 0}, dx, Write::accumulate);
  CHECK(distance(dx, accumulated) < 1e-14);
  dropout_backward(dy, keep, {5, 9, 0}, dx, Write::overwrite);
  CHECK(distance(dx, expected) < 1e-14);
}

TEST_CASE("dropout keeps the asked share, everything at 1, and refuses 0") {
  const Tensor ones = Tensor::from(Shape{100000}, std::vector<float>(100000, 1));
  Tensor y = Tensor::empty({100000}, DType::float32);
  dropout_forward(ones, 0.25, {1, 1, 0}, y);
  CHECK(sum(y) / 100000 == Approx(1).epsilon(0.03));
  dropout_forward(ones, 1, {1, 1, 0}, y);
  CHECK(distance(y, ones) == 0);
  CHECK_THROWS_AS(dropout_forward(ones, 0, {1, 1, 0}, y), InternalError);
}

TEST_CASE("elementwise functions refuse tensors of different shape or dtype") {
  const Tensor x = random_tensor<float>({4}, 1);
  Tensor shorter = Tensor::empty({3}, DType::float32), wider = Tensor::empty({4}, DType::float64);
  CHECK_THROWS_AS(relu_forward(x, shorter), InternalError);
  CHECK_THROWS_AS(copy(x, wider, Write::overwrite), InternalError);
}
