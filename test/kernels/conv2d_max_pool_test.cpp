// Convolution with max pooling beside the two kernels that it stands for.
#include "kernels/conv2d_max_pool.h"

#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

double largest(const Tensor& x) {
  double result = 1e-30;
  for (const double value : doubles(x)) result = std::max(result, std::abs(value));
  return result;
}

template <class T>
void check(const Conv2dGeometry& g, const PoolGeometry& pool) {
  INFO("image " << g.input_shape().to_string() << ", weight " << g.weight_shape().to_string() << ", padding "
                << g.padding << ", windows " << pool.size << " stride " << pool.stride << " padding " << pool.padding);
  constexpr DType dtype = dtype_of<T>::value;
  const double tolerance = dtype == DType::float32 ? 1e-5 : 1e-13;
  const Tensor x = random_tensor<T>(g.input_shape(), 1), weight = random_tensor<T>(g.weight_shape(), 2);
  const Tensor bias = random_tensor<T>({g.out_channels}, 3);
  const Shape pooled{g.batch, pool.out(g.out_height()), pool.out(g.out_width()), g.out_channels};
  Tensor y = Tensor::empty(g.output_shape(), dtype), dy = Tensor::empty(g.output_shape(), dtype);
  Tensor goal = Tensor::empty(pooled, dtype), p = Tensor::empty(pooled, dtype), none;
  Tensor goal_argmax = Tensor::empty(pooled, DType::uint8), argmax = Tensor::empty(pooled, DType::uint8);

  conv2d_forward(g, x, weight, bias, y, ConvEngine::im2col);
  max_pool_forward(y, pool, goal, goal_argmax);
  conv2d_max_pool_forward(g, pool, x, weight, bias, p, none, ConvEngine::automatic);
  CHECK(distance(p, goal) <= tolerance * largest(y));
  conv2d_max_pool_forward(g, pool, x, weight, bias, p, argmax, ConvEngine::automatic);
  CHECK(distance(p, goal) <= tolerance * largest(y));
  CHECK(argmax.to_vector<std::uint8_t>() == goal_argmax.to_vector<std::uint8_t>());

  const Tensor dp = random_tensor<T>(pooled, 4);
  max_pool_backward(dp, argmax, pool, dy, Write::overwrite);
  REQUIRE(max_pool_backward_weight_supports(g, pool));
  for (const Write mode : {Write::overwrite, Write::accumulate}) {
    Tensor dw = random_tensor<T>(g.weight_shape(), 5), goal_dw = dw.clone();
    conv2d_backward_weight(g, dy, x, goal_dw, mode, ConvEngine::im2col);
    max_pool_backward_weight(g, pool, dp, argmax, x, dw, mode);
    CHECK(distance(dw, goal_dw) <= tolerance * largest(goal_dw));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("convolution with max pooling agrees with the two kernels", "[conv2d]", float, double) {
  // batch, height, width, in, out, kernel_h, kernel_w, stride, padding; size, stride, padding of the windows
  for (const std::int64_t batch : {1, 9, 37})
    for (const std::int64_t padding : {0, 1, 2}) check<TestType>({batch, 9, 12, 3, 6, 5, 5, 1, padding}, {2, 2});
  check<TestType>({18, 9, 8, 2, 5, 3, 3, 1, 1}, {3, 3});
  check<TestType>({18, 9, 8, 2, 5, 3, 3, 1, 1}, {3, 2, 1});
  check<TestType>({3, 8, 9, 20, 5, 7, 3}, {1, 2});
  check<TestType>({1, 1, 1, 1, 1, 1, 1}, {2, 2, 1});
  check<TestType>({40, 14, 14, 6, 16, 5, 5}, {2, 2});
}

TEST_CASE("NaN passes through convolution and max pooling", "[conv2d]") {
  const Conv2dGeometry g{8, 6, 6, 1, 1, 3, 3};
  const Tensor x = random_tensor<float>(g.input_shape(), 1), weight = random_tensor<float>(g.weight_shape(), 2);
  x.data<float>()[0] = NAN;
  Tensor p = Tensor::empty({8, 2, 2, 1}, DType::float32), none;
  conv2d_max_pool_forward(g, {2, 2}, x, weight, Tensor(), p, none, ConvEngine::automatic);
  CHECK(std::isnan(p.data<float>()[0]));
  CHECK(!std::isnan(p.data<float>()[1]));
}

TEST_CASE("convolution with max pooling gives the same bits every time", "[conv2d]") {
  const Conv2dGeometry g{128, 32, 32, 3, 6, 5, 5};
  const PoolGeometry pool{2, 2};
  const Tensor x = random_tensor<float>(g.input_shape(), 1), weight = random_tensor<float>(g.weight_shape(), 2);
  const Tensor dp = random_tensor<float>({128, 14, 14, 6}, 3);
  const auto run = [&] {
    Tensor p = Tensor::empty(dp.shape(), DType::float32), argmax = Tensor::empty(dp.shape(), DType::uint8);
    Tensor dw = Tensor::empty(g.weight_shape(), DType::float32);
    conv2d_max_pool_forward(g, pool, x, weight, Tensor(), p, argmax, ConvEngine::automatic);
    max_pool_backward_weight(g, pool, dp, argmax, x, dw, Write::overwrite);
    return std::pair(p.to_vector<float>(), dw.to_vector<float>());
  };
  const auto first = run();
  for (int i = 0; i < 5; ++i) CHECK(run() == first);
}

TEST_CASE("a convolution of no images with max pooling", "[conv2d]") {
  const Conv2dGeometry g{0, 6, 6, 2, 4, 3, 3};
  const Tensor x = random_tensor<float>(g.input_shape(), 1), p = Tensor::empty({0, 2, 2, 4}, DType::float32);
  Tensor dweight = random_tensor<float>(g.weight_shape(), 2);
  max_pool_backward_weight(g, {2, 2}, p, Tensor::empty(p.shape(), DType::uint8), x, dweight, Write::overwrite);
  CHECK(distance(dweight, std::vector<double>(72, 0.0)) == 0);
}

TEST_CASE("a pooling window larger than the convolution's output is refused") {
  const Conv2dGeometry g{8, 5, 5, 6, 16, 5, 5};
  const Tensor x = random_tensor<float>(g.input_shape(), 1), weight = random_tensor<float>(g.weight_shape(), 2);
  Tensor p = Tensor::zeros({8, 1, 1, 16}, DType::float32), argmax = Tensor::zeros(p.shape(), DType::uint8);
  Tensor dw = Tensor::zeros(g.weight_shape(), DType::float32);
  REQUIRE_THROWS_WITH(conv2d_max_pool_forward(g, {2, 2}, x, weight, Tensor(), p, argmax, ConvEngine::automatic),
                      ContainsSubstring("smaller than the window"));
  REQUIRE_THROWS_WITH(max_pool_backward_weight(g, {2, 2}, p, argmax, x, dw, Write::overwrite),
                      ContainsSubstring("smaller than the window"));
}
