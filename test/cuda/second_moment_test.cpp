#include "kernels/second_moment.h"

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

// The CPU adds squares in the tensor's type, up to a few hundred of them; the device in double.
constexpr Tolerance rounding{1e-5, 1e-13};

}  // namespace

TEMPLATE_TEST_CASE("CUDA: second moment of rows", "", float, double) {
  for (const auto& [rows, columns] :
       {std::pair{1, 1}, {1, 9}, {7, 1}, {6, 33}, {128, 84}, {129, 400}, {5000, 3}, {3, 5000}, {4200, 16}, {0, 5}}) {
    CAPTURE(rows, columns);
    check_parity({random_tensor<TestType>({rows, columns}, 1), random_tensor<TestType>({1, columns}, 2)}, rounding,
                 [](std::vector<Tensor>& t) { second_moment(t[0], t[1]); });
  }
}

TEMPLATE_TEST_CASE("CUDA: second moment of patches", "", float, double) {
  const auto check = [](const Conv2dGeometry& g) {
    if (g.out_height() < 1 || g.out_width() < 1) return;
    INFO(g.height << "x" << g.width << ", " << g.in_channels << " channels, kernel " << g.kernel_h << "x" << g.kernel_w
                  << ", stride " << g.stride << ", padding " << g.padding << ", dilation " << g.dilation << ", groups "
                  << g.groups);
    check_parity({random_tensor<TestType>(g.input_shape(), 1), random_tensor<TestType>({g.groups, g.patch_size()}, 2)},
                 rounding, [&](std::vector<Tensor>& t) { patch_second_moment(g, t[0], t[1]); });
  };
  for (const std::int64_t stride : {1, 2, 3})
    for (const std::int64_t padding : {0, 1, 4})
      for (const std::int64_t dilation : {1, 2})
        for (const std::int64_t groups : {1, 2})
          for (const std::int64_t kernel : {1, 3})
            check({5, 9, 7, 6, 4, kernel, kernel, stride, padding, dilation, groups});
  check({1, 1, 1, 1, 1, 1, 1});
  check({3, 2, 2, 3, 1, 1, 1, 1, 5});  // most patches see padding alone
  check({2, 6, 9, 3, 5, 1, 4});
  check({20, 12, 12, 16, 16, 3, 3, 1, 1});
  check({2, 4, 4, 40, 8, 3, 3, 2, 1});
}
