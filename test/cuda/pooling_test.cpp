#include "kernels/pooling.h"

#include <cmath>
#include <limits>
#include <utility>

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

// Averages may be rounded differently; maxima are the same bits, and their gradients are added in the same order.
template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 1e-6 : 4e-15;

struct Case {
  Shape shape;
  PoolGeometry geometry;
  Shape output() const { return {shape[0], geometry.out(shape[1]), geometry.out(shape[2]), shape[3]}; }
};

// Disjoint, overlapping, padded and gapped windows; odd sizes; channels that fill 16 bytes and that do not; no images.
std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::int64_t channels : {1, 3, 10, 16})
    for (const auto& [height, width] : {std::pair{4, 4}, {5, 7}, {9, 2}})
      for (const PoolGeometry g : {PoolGeometry{2, 2}, {2, 1}, {2, 3}, {1, 1}, {2, 2, 1}, {3, 2, 1}, {3, 1, 1}})
        if (height + 2 * g.padding >= g.size && width + 2 * g.padding >= g.size && !(watched() && height == 4))
          all.push_back({{2, height, width, channels}, g});
  if (!watched()) all.push_back({{9, 14, 14, 6}, {2, 2}});
  all.push_back({{1, 16, 16, 1}, {16, 16}});
  all.push_back({{0, 4, 4, 3}, {2, 2}});
  return all;
}

std::string describe(const Case& k) {
  return k.shape.to_string() + " size " + std::to_string(k.geometry.size) + " stride " +
         std::to_string(k.geometry.stride) + " padding " + std::to_string(k.geometry.padding);
}

}  // namespace

TEMPLATE_TEST_CASE("max pooling agrees with the CPU in every bit", "", float, double) {
  using T = TestType;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  for (const Case& k : cases()) {
    INFO(describe(k));
    Tensor x = random_tensor<T>(k.shape, 1, -4, 0);  // few different values: windows hold equal ones
    for (T* v = x.data<T>(); v != x.data<T>() + x.numel(); ++v) *v = std::floor(*v);
    Tensor y = random_tensor<T>(k.output(), 2), argmax = Tensor::zeros(k.output(), DType::uint8);
    for (const Tensor& winners : {argmax, Tensor()})
      check_parity(
          {x, y, winners}, 0, [&](auto& t) { max_pool_forward(t[0], k.geometry, t[1], t[2]); }, placement);

    max_pool_forward(x, k.geometry, y, argmax);
    const Tensor dy = random_tensor<T>(k.output(), 3), dx = random_tensor<T>(k.shape, 4);
    for (const Write mode : {Write::overwrite, Write::accumulate})
      check_parity(
          {dy, argmax, dx}, 0, [&](auto& t) { max_pool_backward(t[0], t[1], k.geometry, t[2], mode); }, placement);
  }
}

TEMPLATE_TEST_CASE("max pooling on the device shows NaN and survives windows of minus infinity", "", float, double) {
  using T = TestType;
  const std::int64_t channels = GENERATE(1, 16);
  std::vector<T> values(static_cast<std::size_t>(2 * 4 * channels), -std::numeric_limits<T>::infinity());
  values[static_cast<std::size_t>(channels)] = std::numeric_limits<T>::quiet_NaN();
  const Shape pooled{1, 1, 2, channels};
  const Tensor x = Tensor::from({1, 2, 4, channels}, values), y = random_tensor<T>(pooled, 1);
  check_parity({x, y, Tensor::zeros(pooled, DType::uint8)}, 0, [](auto& t) {
    max_pool_forward(t[0], {2, 2}, t[1], t[2]);
  });
}

TEMPLATE_TEST_CASE("average pooling agrees with the CPU", "", float, double) {
  using T = TestType;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  for (const Case& k : cases()) {
    INFO(describe(k));
    const Tensor x = random_tensor<T>(k.shape, 1), y = random_tensor<T>(k.output(), 2);
    check_parity(
        {x, y}, tolerance<T>, [&](auto& t) { avg_pool_forward(t[0], k.geometry, t[1]); }, placement);
    for (const Write mode : {Write::overwrite, Write::accumulate})
      check_parity(
          {y, x}, tolerance<T>, [&](auto& t) { avg_pool_backward(t[0], k.geometry, t[1], mode); }, placement);
  }
}

TEMPLATE_TEST_CASE("global average pooling agrees with the CPU", "", float, double) {
  using T = TestType;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  for (const Shape& shape :
       {Shape{3, 8, 8, 64}, Shape{2, 1, 1, 5}, Shape{11, 5, 7, 33}, Shape{1, 3, 2, 1}, Shape{2, 4, 4, 16},
        Shape{2, 2, 2, 300}, Shape{100, 2, 1, 2}}) {  // the last: several images per block
    CAPTURE(shape.to_string());
    const Tensor x = random_tensor<T>(shape, 1), y = random_tensor<T>({shape[0], shape[3]}, 2);
    check_parity(
        {x, y}, tolerance<T>, [](auto& t) { global_avg_pool_forward(t[0], t[1]); }, placement);
    for (const Write mode : {Write::overwrite, Write::accumulate})
      check_parity(
          {y, x}, tolerance<T>, [&](auto& t) { global_avg_pool_backward(t[0], t[1], mode); }, placement);
  }
}
