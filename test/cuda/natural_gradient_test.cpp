#include "kernels/natural_gradient.h"

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-13;

}  // namespace

TEMPLATE_TEST_CASE("curvature of Kronecker form and the KL clip agree with the CPU", "", float, double) {
  for (const auto [groups, m, n] : {std::array<std::int64_t, 3>{1, 1, 1}, {2, 3, 5}, {1, 17, 70}}) {
    const Tensor x = random_tensor<TestType>({groups, m, n}, 1), g = random_tensor<TestType>({groups, m, n}, 2);
    const Tensor left = random_tensor<TestType>({groups, m}, 3, 0, 1),
                 right = random_tensor<TestType>({groups, n}, 4, 0, 1);
    check_parity({x, left, right}, tolerance<TestType>, [](auto& t) { divide_by_kronecker(t[0], t[1], t[2], 0.1); });
    for (const double limit : {1e-4, 1e4})
      check_parity({x, g, x}, tolerance<TestType>, [&](auto& t) {
        kl_clip(t[0], t[1], step_value(0.5, t[0].device()), limit);
        kl_clip(t[2], t[2].clone(), step_value(0.5, t[0].device()), limit);
      });
  }
}

TEMPLATE_TEST_CASE("directions under factors of rank one agree with the CPU", "", float, double) {
  const RankOne form = GENERATE(RankOne::joint, RankOne::separate);
  for (const auto [groups, m, n] : {std::array<std::int64_t, 3>{1, 1, 1}, {3, 2, 5}, {1, 20, 300}}) {
    if (watched() && n > 100) continue;
    const Tensor g = random_tensor<TestType>({groups, m, n}, 1), b = random_tensor<TestType>({groups, m}, 2);
    const Tensor a = random_tensor<TestType>({groups, n}, 3), direction = random_tensor<TestType>({groups, m, n}, 4);
    check_parity({g, b, a, direction}, 10 * tolerance<TestType>,
                 [&](auto& t) { rank_one_direction(t[0], t[1], t[2], 0.3, form, t[3]); });
  }
}
