#include "kernels/covariance.h"

#include <utility>

#include "test/cuda/parity.h"
#include "test/kernels/patches.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

// Means of up to some thousand products, which are added in another order.
template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 4e-6 : 1e-14;

}  // namespace

TEMPLATE_TEST_CASE("covariances agree with the CPU", "", float, double) {
  using T = TestType;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 9}, {7, 1}, {6, 33}, {128, 24}, {1500, 3}})
    for (const bool ones : {false, true}) {
      if (watched() && rows * columns > 1000) continue;
      CAPTURE(rows, columns, ones);
      const std::int64_t n = columns + (ones ? 1 : 0);
      check_parity(
          {random_tensor<T>({rows, columns}, 1), random_tensor<T>({1, n, n}, 2)}, tolerance<T>,
          [&](auto& t) { covariance(t[0], ones, t[1]); }, placement);
    }
  for (const std::int64_t groups : {1, 2, 3})
    check_parity(
        {random_tensor<T>({5, 4, 3, 12}, 1), random_tensor<T>({groups, 12 / groups, 12 / groups}, 2)}, tolerance<T>,
        [&](auto& t) { group_covariance(t[0], groups, t[1]); }, placement);
}

TEMPLATE_TEST_CASE("patch covariances agree with the CPU", "", float, double) {
  using T = TestType;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  const auto check = [&](const Conv2dGeometry& g, bool ones) {
    if (g.out_height() < 1 || g.out_width() < 1) return;
    INFO(text(g) << ", ones " << ones);
    const std::int64_t n = g.patch_size() + (ones ? 1 : 0);
    check_parity(
        {random_tensor<T>(g.input_shape(), 1), random_tensor<T>({g.groups, n, n}, 2)}, tolerance<T>,
        [&](auto& t) { patch_covariance(g, t[0], ones, t[1]); }, placement);
  };
  for (const std::int64_t stride : {1, 2})
    for (const std::int64_t padding : {0, 1, 2})
      for (const std::int64_t dilation : {1, 2})
        for (const std::int64_t groups : {1, 2})
          check({2, 7, 6, 4, 4, 3, 3, stride, padding, dilation, groups}, padding == 1);
  for (const bool ones : {false, true}) {
    check({1, 1, 1, 1, 1, 1, 1}, ones);
    check({2, 6, 9, 3, 5, 1, 4}, ones);
    check({3, 6, 6, 2, 2, 5, 5, 1, 2}, ones);
    if (!watched()) check({6, 8, 8, 16, 16, 3, 3, 1, 1}, ones);
  }
}
