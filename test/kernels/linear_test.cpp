#include "kernels/linear.h"

#include <limits>

#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

struct Size {
  std::int64_t rows, in, out;
};

std::vector<double> multiply_add(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const std::int64_t out = weight.dim(0), in = weight.dim(1), rows = x.numel() / in;
  const std::vector<double> vx = doubles(x), vw = doubles(weight);
  std::vector<double> y;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t o = 0; o < out; ++o) {
      y.push_back(bias ? doubles(bias)[static_cast<std::size_t>(o)] : 0.0);
      for (std::int64_t i = 0; i < in; ++i)
        y.back() += vx[static_cast<std::size_t>(r * in + i)] * vw[static_cast<std::size_t>(o * in + i)];
    }
  return y;
}

// dx, dW and db of Σ dy · (x Wᵀ + b).
struct Gradients {
  std::vector<double> dx, dweight, dbias;
};
Gradients differentiate(const Tensor& dy, const Tensor& x, const Tensor& weight) {
  const std::size_t out = static_cast<std::size_t>(weight.dim(0)), in = static_cast<std::size_t>(weight.dim(1));
  const std::vector<double> vdy = doubles(dy), vx = doubles(x), vw = doubles(weight);
  Gradients g{std::vector<double>(vx.size()), std::vector<double>(vw.size()), std::vector<double>(out)};
  for (std::size_t r = 0; r < vx.size() / in; ++r)
    for (std::size_t o = 0; o < out; ++o) {
      g.dbias[o] += vdy[r * out + o];
      for (std::size_t i = 0; i < in; ++i) {
        g.dx[r * in + i] += vdy[r * out + o] * vw[o * in + i];
        g.dweight[o * in + i] += vdy[r * out + o] * vx[r * in + i];
      }
    }
  return g;
}

}  // namespace

TEMPLATE_TEST_CASE("linear layers agree with the definition", "[linear]", float, double) {
  using T = TestType;
  constexpr DType dtype = dtype_of<T>::value;
  for (const Size s : {Size{1, 1, 1}, {1, 5, 3}, {7, 1, 4}, {9, 6, 1}, {33, 20, 17}, {128, 84, 10}}) {
    INFO(s.rows << " rows, " << s.in << " -> " << s.out);
    const double tolerance = 4 * std::numeric_limits<T>::epsilon() * static_cast<double>(s.rows + s.in + s.out);
    const Tensor x = random_tensor<T>({s.rows, s.in}, 1), weight = random_tensor<T>({s.out, s.in}, 2);
    const Tensor bias = random_tensor<T>({s.out}, 3), dy = random_tensor<T>({s.rows, s.out}, 4);

    for (const Tensor& b : {bias, Tensor()}) {
      Tensor y = Tensor::empty({s.rows, s.out}, dtype);
      linear_forward(x, weight, b, y);
      CHECK(distance(y, multiply_add(x, weight, b)) <= tolerance);
    }

    const Gradients expected = differentiate(dy, x, weight);
    for (const Write mode : {Write::overwrite, Write::accumulate}) {
      const auto check = [&](const Shape& shape, std::vector<double> gradient, auto&& backward) {
        Tensor target = random_tensor<T>(shape, 5);
        if (mode == Write::accumulate) gradient = plus(target, gradient);
        backward(target);
        CHECK(distance(target, gradient) <= tolerance);
      };
      check(x.shape(), expected.dx, [&](Tensor& dx) { linear_backward_input(dy, weight, dx, mode); });
      check(weight.shape(), expected.dweight, [&](Tensor& dweight) { linear_backward_weight(dy, x, dweight, mode); });
      check(bias.shape(), expected.dbias, [&](Tensor& dbias) { bias_backward(dy, dbias, mode); });
    }
  }
}

TEST_CASE("leading dimensions of a linear layer's input count as rows", "[linear]") {
  const Tensor x = random_tensor<double>({2, 3, 4, 5}, 1), weight = random_tensor<double>({6, 5}, 2);
  Tensor y = Tensor::empty({2, 3, 4, 6}, DType::float64);
  linear_forward(x, weight, Tensor(), y);
  CHECK(distance(y, multiply_add(x, weight, Tensor())) < 1e-14);
}

TEMPLATE_TEST_CASE("the bias gradient sums long columns exactly enough", "[linear]", float, double) {
  using T = TestType;
  for (const std::int64_t out : {1, 3, 6, 16, 65, 700}) {
    const std::int64_t rows = 200000 / out + 1;
    INFO(rows << " rows, " << out << " columns");
    const Tensor dy = random_tensor<T>({rows, out}, 1, 0, 1);
    const std::vector<double> values = doubles(dy);
    std::vector<double> expected(static_cast<std::size_t>(out));
    for (std::size_t i = 0; i < values.size(); ++i) expected[i % expected.size()] += values[i];
    Tensor dbias = Tensor::empty({out}, dy.dtype()), again = Tensor::empty({out}, dy.dtype());
    bias_backward(dy, dbias, Write::overwrite);
    bias_backward(dy, again, Write::overwrite);
    CHECK(distance(dbias, expected) <=
          std::max<double>(4 * std::numeric_limits<T>::epsilon(), 1e-12) * static_cast<double>(rows));
    CHECK(distance(dbias, again) == 0);
  }
}

TEST_CASE("mismatched shapes of a linear layer are refused", "[linear]") {
  const Tensor x = random_tensor<float>({4, 5}, 1), weight = random_tensor<float>({6, 7}, 2);
  Tensor y = Tensor::empty({4, 6}, DType::float32);
  REQUIRE_THROWS_AS(linear_forward(x, weight, Tensor(), y), InternalError);
}
