// The direct convolution beside im2col in double, which conv2d_test.cpp compares with the formula.
#include <tuple>

#include "kernels/conv2d_engines.h"
#include "kernels/elementwise.h"
#include "kernels/image_lanes.h"
#include "kernels/parallel.h"
#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

Tensor in_double(const Tensor& x) {
  Tensor result = Tensor::empty(x.shape(), DType::float64);
  cast(x, result);
  return result;
}

// Runs one direction in float by `direct` and in double by `exact` over targets that hold the same values before.
template <class Direct, class Exact>
void compare(const Shape& shape, const Direct& direct, const Exact& exact) {
  Tensor target = random_tensor<float>(shape, 5), goal = in_double(target);
  direct(target);
  exact(goal);
  const std::vector<double> goals = doubles(goal);
  double largest = 1e-30;
  for (const double value : goals) largest = std::max(largest, std::abs(value));
  CHECK(distance(target, goals) <= 1e-5 * largest);
}

void check(const Conv2dGeometry& g) {
  INFO("image " << g.input_shape().to_string() << ", weight " << g.weight_shape().to_string() << ", padding "
                << g.padding);
  REQUIRE(direct_supports(g));
  const Tensor x = random_tensor<float>(g.input_shape(), 1), weight = random_tensor<float>(g.weight_shape(), 2);
  const Tensor bias = random_tensor<float>({g.out_channels}, 3), dy = random_tensor<float>(g.output_shape(), 4);
  const Tensor x2 = in_double(x), weight2 = in_double(weight), dy2 = in_double(dy);
  for (const Tensor& b : {Tensor(), bias})
    compare(
        g.output_shape(), [&](Tensor& y) { direct_forward(g, x, weight, b, y); },
        [&](Tensor& y) { im2col_forward(g, x2, weight2, b ? in_double(b) : b, y); });
  for (const Write mode : {Write::overwrite, Write::accumulate}) {
    compare(
        g.input_shape(), [&](Tensor& dx) { direct_backward_data(g, dy, weight, dx, mode); },
        [&](Tensor& dx) { im2col_backward_data(g, dy2, weight2, dx, mode); });
    compare(
        g.weight_shape(), [&](Tensor& dw) { direct_backward_weight(g, dy, x, dw, mode); },
        [&](Tensor& dw) { im2col_backward_weight(g, dy2, x2, dw, mode); });
  }
}

}  // namespace

TEST_CASE("images become lanes and come back", "[conv2d]") {
  const std::int64_t images = GENERATE(std::int64_t{1}, images_per_group - 1, images_per_group);
  const std::int64_t n = GENERATE(std::int64_t{1}, images_per_group, 2 * images_per_group + 3);
  const Tensor x = random_tensor<float>({images, n}, 1), packs = Tensor::empty({n, images_per_group}, DType::float32);
  Tensor back = Tensor::empty(x.shape(), DType::float32);
  auto* const group = reinterpret_cast<ImageLanes*>(packs.data<float>());
  gather_lanes(x.data<float>(), n, images, n, group);
  for (std::int64_t j = 0; j < n; ++j)
    for (std::int64_t i = 0; i < images_per_group; ++i)
      REQUIRE(group[j][i] == (i < images ? x.data<float>()[i * n + j] : 0));
  scatter_lanes(group, n, images, back.data<float>(), n);
  CHECK(distance(back, x) == 0);
}

TEST_CASE("direct convolution agrees with im2col in double", "[conv2d]") {
  // batch, height, width, in, out, kernel_h, kernel_w, stride, padding
  for (const std::int64_t batch : {1, 3, 16, 37})
    for (const std::int64_t padding : {0, 1, 2}) check({batch, 7, 9, 3, 6, 5, 5, 1, padding});
  for (const std::int64_t in : {1, 2, 5, 6})
    for (const std::int64_t out : {1, 7, 16, 19})
      for (const std::int64_t kernel : {1, 3, 5}) check({5, 6, 5, in, out, kernel, kernel, 1, kernel / 2});
  check({1, 1, 1, 1, 1, 1, 1});
  check({2, 5, 5, 2, 3, 5, 5});
  check({9, 6, 9, 3, 5, 1, 4});
  check({9, 9, 6, 5, 3, 3, 2, 1, 2});
  check({20, 32, 32, 3, 6, 5, 5});
  check({130, 14, 14, 6, 16, 5, 5});
}

TEST_CASE("direct convolution gives the same bits every time", "[conv2d]") {
  const Conv2dGeometry g{70, 14, 14, 6, 16, 5, 5};
  const Tensor x = random_tensor<float>(g.input_shape(), 1), weight = random_tensor<float>(g.weight_shape(), 2);
  const Tensor dy = random_tensor<float>(g.output_shape(), 4);
  const auto run = [&] {
    Tensor y = Tensor::empty(g.output_shape(), DType::float32), dx = Tensor::empty(g.input_shape(), DType::float32);
    Tensor dweight = Tensor::empty(g.weight_shape(), DType::float32);
    direct_forward(g, x, weight, Tensor(), y);
    direct_backward_data(g, dy, weight, dx, Write::overwrite);
    direct_backward_weight(g, dy, x, dweight, Write::overwrite);
    return std::tuple(y.to_vector<float>(), dx.to_vector<float>(), dweight.to_vector<float>());
  };
  const int before = threads();
  set_threads(2);
  const auto first = run();
  for (int repeat = 0; repeat < 3; ++repeat) CHECK(run() == first);
  set_threads(before);
}
