#include "kernels/second_moment.h"

#include <utility>

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

// The CPU adds the squares in the tensor's type, up to thousands of them; the device in double.
template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-13;

}  // namespace

TEMPLATE_TEST_CASE("the second moment agrees with the CPU", "", float, double) {
  using T = TestType;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  for (const auto& [rows, columns] :
       {std::pair{1, 1}, {1, 9}, {7, 1}, {6, 33}, {128, 84}, {129, 400}, {5000, 3}, {3, 5000}, {4200, 16}, {0, 5}}) {
    if (watched() && rows * columns > 11000) continue;
    CAPTURE(rows, columns);
    check_parity(
        {random_tensor<T>({rows, columns}, 1), random_tensor<T>({1, columns}, 2), random_tensor<T>({1, columns}, 2)},
        tolerance<T>,
        [](auto& t) {
          second_moment(t[0], t[1]);
          first_moment(t[0], t[2]);
        },
        placement);
  }
}

TEMPLATE_TEST_CASE("the patch second moment agrees with the CPU", "", float, double) {
  using T = TestType;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  const auto check = [&](const Conv2dGeometry& g) {
    if (g.out_height() < 1 || g.out_width() < 1) return;
    INFO(g.height << "x" << g.width << ", " << g.in_channels << " channels, kernel " << g.kernel_h << "x" << g.kernel_w
                  << ", stride " << g.stride << ", padding " << g.padding << ", dilation " << g.dilation << ", groups "
                  << g.groups);
    check_parity(
        {random_tensor<T>(g.input_shape(), 1), random_tensor<T>({g.groups, g.patch_size()}, 2),
         random_tensor<T>({g.groups, g.patch_size()}, 2)},
        tolerance<T>,
        [&](auto& t) {
          patch_second_moment(g, t[0], t[1]);
          patch_first_moment(g, t[0], t[2]);
        },
        placement);
  };
  for (const std::int64_t stride : {1, 2, 3})
    for (const std::int64_t padding : {0, 1, 4})
      for (const std::int64_t dilation : {1, 2})
        for (const std::int64_t groups : {1, 2}) check({3, 9, 7, 6, 4, 3, 3, stride, padding, dilation, groups});
  check({1, 1, 1, 1, 1, 1, 1});
  check({3, 2, 2, 3, 1, 1, 1, 1, 5});  // most patches see padding alone
  check({2, 6, 9, 3, 5, 1, 4});
  check({2, 4, 4, 40, 8, 3, 3, 2, 1});
  if (!watched()) check({20, 12, 12, 16, 16, 3, 3, 1, 1});
}
