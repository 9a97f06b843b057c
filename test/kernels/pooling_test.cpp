#include "kernels/pooling.h"

#include <tuple>

#include "kernels/parallel.h"
#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

struct Case {
  Shape shape;
  PoolGeometry geometry;
  Shape output() const { return {shape[0], geometry.out(shape[1]), geometry.out(shape[2]), shape[3]}; }
};

// Disjoint, overlapping, padded and gapped windows; odd sizes; channels around the width of a vector.
std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::int64_t channels : {1, 3, 6, 8, 16, 17, 40})
    for (const auto& [height, width] : {std::pair{4, 4}, {5, 7}, {9, 2}, {16, 30}})
      for (const PoolGeometry g :
           {PoolGeometry{2, 2}, {2, 1}, {2, 3}, {1, 1}, {1, 2}, {2, 2, 1}, {3, 2, 1}, {3, 1, 1}, {3, 3}})
        if (height + 2 * g.padding >= g.size && width + 2 * g.padding >= g.size)
          all.push_back({{3, height, width, channels}, g});
  all.push_back({{70, 28, 28, 6}, {2, 2}});  // several threads
  all.push_back({{70, 15, 15, 6}, {3, 2, 1}});
  all.push_back({{1, 5, 5, 2}, {5, 5}});
  all.push_back({{1, 1, 1, 1}, {1, 1}});
  return all;
}

// Calls visit(output element, input element, index in the window) for every pair, padding left out, windows in row
// order.
template <class Visit>
void for_each_pair(const Case& k, const Visit& visit) {
  const Shape in = k.shape, out = k.output();
  const PoolGeometry g = k.geometry;
  std::size_t e = 0;
  for (std::int64_t n = 0; n < out[0]; ++n)
    for (std::int64_t oy = 0; oy < out[1]; ++oy)
      for (std::int64_t ox = 0; ox < out[2]; ++ox)
        for (std::int64_t c = 0; c < out[3]; ++c, ++e)
          for (std::int64_t ky = 0; ky < g.size; ++ky)
            for (std::int64_t kx = 0; kx < g.size; ++kx) {
              const std::int64_t y = oy * g.stride + ky - g.padding, x = ox * g.stride + kx - g.padding;
              if (y < 0 || x < 0 || y >= in[1] || x >= in[2]) continue;
              visit(e, static_cast<std::size_t>(((n * in[1] + y) * in[2] + x) * in[3] + c), ky * g.size + kx);
            }
}

std::string describe(const Case& k) {
  return k.shape.to_string() + " size " + std::to_string(k.geometry.size) + " stride " +
         std::to_string(k.geometry.stride) + " padding " + std::to_string(k.geometry.padding);
}

template <class T>
void check_max_pool(const Case& k) {
  INFO(describe(k));
  // Few different values, so that windows hold equal ones.
  Tensor x = random_tensor<T>(k.shape, 1, -4, 0);
  for (T* value = x.data<T>(); value != x.data<T>() + x.numel(); ++value) *value = std::floor(*value);
  const std::vector<double> in = doubles(x);
  std::vector<double> best(static_cast<std::size_t>(k.output().numel()), -INFINITY);
  std::vector<std::size_t> source(best.size());
  std::vector<std::uint8_t> winner(best.size());
  for_each_pair(k, [&](std::size_t e, std::size_t i, std::int64_t index) {
    if (in[i] > best[e]) best[e] = in[i], source[e] = i, winner[e] = static_cast<std::uint8_t>(index);
  });
  Tensor y = Tensor::empty(k.output(), x.dtype()), argmax = Tensor::empty(k.output(), DType::uint8), none;
  max_pool_forward(x, k.geometry, y, none);
  CHECK(distance(y, best) == 0);
  y.fill_zero();
  max_pool_forward(x, k.geometry, y, argmax);
  CHECK(distance(y, best) == 0);
  CHECK((argmax.to_vector<std::uint8_t>() == winner));

  const Tensor dy = random_tensor<T>(k.output(), 2);
  std::vector<double> expected(in.size());
  for (std::size_t e = 0; e < source.size(); ++e)
    expected[source[e]] +=
        doubles(dy.reshape({dy.numel()}).slice(static_cast<std::int64_t>(e), static_cast<std::int64_t>(e) + 1))[0];
  Tensor dx = random_tensor<T>(k.shape, 3);
  const std::vector<double> accumulated = plus(dx, expected);
  max_pool_backward(dy, argmax, k.geometry, dx, Write::accumulate);
  CHECK(distance(dx, accumulated) < 1e-5);
  max_pool_backward(dy, argmax, k.geometry, dx, Write::overwrite);
  CHECK(distance(dx, expected) < 1e-5);
}

template <class T>
void check_avg_pool(const Case& k, double tolerance) {
  INFO(describe(k));
  const Tensor x = random_tensor<T>(k.shape, 1), dy = random_tensor<T>(k.output(), 2);
  const std::vector<double> in = doubles(x), gradient = doubles(dy);
  std::vector<double> mean(gradient.size()), expected(in.size());
  const double share = 1.0 / static_cast<double>(k.geometry.size * k.geometry.size);
  for_each_pair(k, [&](std::size_t e, std::size_t i, std::int64_t) {
    mean[e] += in[i] * share;
    expected[i] += gradient[e] * share;
  });
  Tensor y = Tensor::empty(k.output(), x.dtype()), dx = random_tensor<T>(k.shape, 3);
  avg_pool_forward(x, k.geometry, y);
  CHECK(distance(y, mean) < tolerance);
  const std::vector<double> accumulated = plus(dx, expected);
  avg_pool_backward(dy, k.geometry, dx, Write::accumulate);
  CHECK(distance(dx, accumulated) < tolerance);
  avg_pool_backward(dy, k.geometry, dx, Write::overwrite);
  CHECK(distance(dx, expected) < tolerance);
}

}  // namespace

TEST_CASE("max pooling takes the first largest element and sends the gradient there") {
  set_threads(3);
  for (const Case& k : cases()) {
    check_max_pool<float>(k);
    check_max_pool<double>(k);
  }
}

TEST_CASE("average pooling counts padding as zeros, in both directions") {
  for (const Case& k : cases()) {
    check_avg_pool<float>(k, 1e-5);
    check_avg_pool<double>(k, 1e-14);
  }
}

TEST_CASE("global average pooling is the mean over positions") {
  const Shape shape = GENERATE(Shape{3, 8, 8, 64}, Shape{2, 1, 1, 5}, Shape{40, 5, 7, 33}, Shape{1, 3, 2, 1});
  const Tensor x = random_tensor<double>(shape, 1), dy = random_tensor<double>({shape[0], shape[3]}, 2);
  const std::int64_t positions = shape[1] * shape[2];
  const std::vector<double> in = doubles(x), gradient = doubles(dy);
  std::vector<double> mean(gradient.size()), expected(in.size());
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const auto e = static_cast<std::size_t>(i / (positions * shape[3]) * shape[3] + i % shape[3]);
    mean[e] += in[static_cast<std::size_t>(i)] / static_cast<double>(positions);
    expected[static_cast<std::size_t>(i)] = gradient[e] / static_cast<double>(positions);
  }
  Tensor y = Tensor::empty(dy.shape(), DType::float64), dx = random_tensor<double>(shape, 3);
  global_avg_pool_forward(x, y);
  CHECK(distance(y, mean) < 1e-14);
  const std::vector<double> accumulated = plus(dx, expected);
  global_avg_pool_backward(dy, dx, Write::accumulate);
  CHECK(distance(dx, accumulated) < 1e-14);
  global_avg_pool_backward(dy, dx, Write::overwrite);
  CHECK(distance(dx, expected) < 1e-14);
}

TEST_CASE("pooling gradients agree with finite differences") {
  const PoolGeometry g = GENERATE(PoolGeometry{2, 2}, PoolGeometry{3, 2, 1});
  const Case k{{2, 5, 4, 3}, g};
  const Tensor x = random_tensor<double>(k.shape, 1), dy = random_tensor<double>(k.output(), 2);
  Tensor y = Tensor::empty(k.output(), DType::float64), argmax = Tensor::empty(k.output(), DType::uint8);
  Tensor dx = Tensor::empty(k.shape, DType::float64), none;
  max_pool_forward(x, g, y, argmax);
  max_pool_backward(dy, argmax, g, dx, Write::overwrite);
  CHECK(gradient_error(dx, x, [&] { return max_pool_forward(x, g, y, none), dot(y, dy); }) < 1e-6);
  avg_pool_backward(dy, g, dx, Write::overwrite);
  CHECK(gradient_error(dx, x, [&] { return avg_pool_forward(x, g, y), dot(y, dy); }) < 1e-6);
}

TEST_CASE("max pooling shows NaN and survives windows of minus infinity") {
  const std::int64_t channels = GENERATE(1, 16);
  std::vector<float> values(static_cast<std::size_t>(2 * 4 * channels), -INFINITY);
  values[static_cast<std::size_t>(channels)] = NAN;  // position (0, 1): in the first window
  Tensor y = Tensor::empty({1, 1, 2, channels}, DType::float32), argmax = Tensor::empty(y.shape(), DType::uint8);
  max_pool_forward(Tensor::from({1, 2, 4, channels}, values), {2, 2}, y, argmax);
  CHECK(std::isnan(y.data<float>()[0]));
  CHECK(argmax.data<std::uint8_t>()[0] == 1);
  CHECK(y.data<float>()[channels] == -INFINITY);
  CHECK(argmax.data<std::uint8_t>()[channels] == 0);
}

TEST_CASE("pooling refuses geometry that does not fit") {
  const Tensor x = random_tensor<float>({1, 4, 4, 1}, 1);
  Tensor y = Tensor::empty({1, 2, 2, 1}, DType::float32), wrong = Tensor::empty({1, 3, 3, 1}, DType::float32), none;
  CHECK_THROWS_AS(max_pool_forward(x, {2, 2}, wrong, none), InternalError);
  CHECK_THROWS_AS(max_pool_forward(x, {2, 0}, y, none), InternalError);
  CHECK_THROWS_AS(avg_pool_forward(x, {17, 1}, y), InternalError);
}
