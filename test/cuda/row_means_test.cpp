#include "kernels/row_means.h"

#include "test/cuda/parity.h"
#include "test/kernels/patches.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 1e-6 : 1e-14;

}  // namespace

TEMPLATE_TEST_CASE("means of rows and positions agree with the CPU", "", float, double) {
  using T = TestType;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  for (const Shape& shape : {Shape{1, 1, 1}, {3, 1, 7}, {1, 5, 2}, {20, 9, 33}, {4, 60, 16}, {9, 40}}) {
    if (watched() && shape.numel() > 4000) continue;
    CAPTURE(shape.to_string());
    const Tensor x = random_tensor<T>(shape, 1);
    check_parity(
        {x, random_tensor<T>({x.dim(-1)}, 2)}, tolerance<T>, [](auto& t) { mean_of_rows(t[0], t[1]); }, placement);
    for (const bool ones : {false, true})
      check_parity(
          {x, random_tensor<T>({x.dim(0), x.dim(-1) + (ones ? 1 : 0)}, 2)}, tolerance<T>,
          [&](auto& t) { position_means(t[0], ones, t[1]); }, placement);
  }
}

TEMPLATE_TEST_CASE("patch means agree with the CPU", "", float, double) {
  using T = TestType;
  const auto check = [&](const Conv2dGeometry& g, bool ones) {
    if (g.out_height() < 1 || g.out_width() < 1) return;
    INFO(text(g) << ", ones " << ones);
    const std::int64_t n = g.patch_size() + (ones ? 1 : 0);
    check_parity({random_tensor<T>(g.input_shape(), 1), random_tensor<T>({g.batch, g.groups * n}, 2)}, tolerance<T>,
                 [&](auto& t) { patch_means(g, t[0], ones, t[1]); });
  };
  for (const bool ones : {false, true}) {
    for (const std::int64_t stride : {1, 2, 3})
      for (const std::int64_t padding : {0, 2})
        for (const std::int64_t dilation : {1, 2})
          for (const std::int64_t groups : {1, 2})
            check({2, 9, 7, 4, 4, 3, 3, stride, padding, dilation, groups}, ones);
    check({1, 1, 1, 1, 1, 1, 1}, ones);
    check({3, 2, 2, 3, 1, 1, 1, 1, 5}, ones);
    if (!watched()) check({3, 5, 5, 300, 300, 1, 1}, ones);  // several tiles of channels
  }
}
