#include "kernels/pooling.h"

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

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
        if (height + 2 * g.padding >= g.size && width + 2 * g.padding >= g.size)
          all.push_back({{3, height, width, channels}, g});
  all.push_back({{9, 14, 14, 6}, {2, 2}});
  all.push_back({{1, 16, 16, 1}, {16, 16}});
  all.push_back({{0, 4, 4, 3}, {2, 2}});
  return all;
}

std::string describe(const Case& k) {
  return k.shape.to_string() + " size " + std::to_string(k.geometry.size) + " stride " +
         std::to_string(k.geometry.stride) + " padding " + std::to_string(k.geometry.padding);
}

}  // namespace

TEMPLATE_TEST_CASE("CUDA: max pooling", "", float, double) {
  for (const Case& k : cases()) {
    INFO(describe(k));
    Tensor x = random_tensor<TestType>(k.shape, 1, -4, 0);  // few different values: windows hold equal ones
    for (TestType* v = x.data<TestType>(); v != x.data<TestType>() + x.numel(); ++v) *v = std::floor(*v);
    const Tensor y = random_tensor<TestType>(k.output(), 2);
    Tensor argmax = Tensor::zeros(k.output(), DType::uint8);
    check_parity({x, y, argmax}, exactly,
                 [&](std::vector<Tensor>& t) { max_pool_forward(t[0], k.geometry, t[1], t[2]); });
    check_parity({x, y, {}}, exactly, [&](std::vector<Tensor>& t) { max_pool_forward(t[0], k.geometry, t[1], t[2]); });

    Tensor result = y.clone();
    max_pool_forward(x, k.geometry, result, argmax);
    for (const Write mode : {Write::overwrite, Write::accumulate})
      check_parity({y, argmax, random_tensor<TestType>(k.shape, 3)}, exactly,
                   [&](std::vector<Tensor>& t) { max_pool_backward(t[0], t[1], k.geometry, t[2], mode); });
  }
}

TEMPLATE_TEST_CASE("CUDA: max pooling shows NaN and survives windows of minus infinity", "", float, double) {
  for (const std::int64_t channels : {1, 16}) {
    const TestType infinity = std::numeric_limits<TestType>::infinity();
    std::vector<TestType> values(static_cast<std::size_t>(2 * 4 * channels), -infinity);
    values[static_cast<std::size_t>(channels)] = std::numeric_limits<TestType>::quiet_NaN();
    const Shape pooled{1, 1, 2, channels};
    check_parity({Tensor::from({1, 2, 4, channels}, values), random_tensor<TestType>(pooled, 1),
                  Tensor::zeros(pooled, DType::uint8)},
                 exactly, [&](std::vector<Tensor>& t) {
                   max_pool_forward(t[0], {2, 2}, t[1], t[2]);
                 });
  }
}

TEMPLATE_TEST_CASE("CUDA: average pooling", "", float, double) {
  const Tolerance rounding{2e-6, 4e-15};
  for (const Case& k : cases()) {
    INFO(describe(k));
    const Tensor x = random_tensor<TestType>(k.shape, 1), y = random_tensor<TestType>(k.output(), 2);
    check_parity({x, y}, rounding, [&](std::vector<Tensor>& t) { avg_pool_forward(t[0], k.geometry, t[1]); });
    for (const Write mode : {Write::overwrite, Write::accumulate})
      check_parity({y, x}, rounding, [&](std::vector<Tensor>& t) { avg_pool_backward(t[0], k.geometry, t[1], mode); });
  }
}

TEMPLATE_TEST_CASE("CUDA: global average pooling", "", float, double) {
  const Tolerance rounding{2e-6, 4e-15};
  for (const Shape& shape : {Shape{3, 8, 8, 64}, Shape{2, 1, 1, 5}, Shape{11, 5, 7, 33}, Shape{1, 3, 2, 1},
                             Shape{2, 4, 4, 16}, Shape{2, 2, 2, 300}}) {
    CAPTURE(shape.to_string());
    const Tensor x = random_tensor<TestType>(shape, 1), y = random_tensor<TestType>({shape[0], shape[3]}, 2);
    check_parity({x, y}, rounding, [&](std::vector<Tensor>& t) { global_avg_pool_forward(t[0], t[1]); });
    for (const Write mode : {Write::overwrite, Write::accumulate})
      check_parity({y, x}, rounding, [&](std::vector<Tensor>& t) { global_avg_pool_backward(t[0], t[1], mode); });
  }
}
