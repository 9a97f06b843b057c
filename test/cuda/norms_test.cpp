#include "kernels/norms.h"

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

std::vector<std::int64_t> sizes() {
  return watched() ? std::vector<std::int64_t>{0, 1, 997} : std::vector<std::int64_t>{0, 1, 997, 70001};
}

template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 1e-6 : 1e-13;

Tensor squared(double norm) {
  return Tensor::from<double>({1}, {norm * norm});
}

}  // namespace

TEMPLATE_TEST_CASE("squared norms agree with the CPU", "", float, double) {
  const Write mode = GENERATE(Write::overwrite, Write::accumulate);
  for (const std::int64_t n : sizes()) {
    CAPTURE(n);
    check_parity({random_tensor<TestType>({n}, 1), squared(3)}, 1e-13,
                 [&](auto& t) { squared_norm(t[0], t[1], mode); });
  }
}

TEMPLATE_TEST_CASE("clipping and steps of a given length agree with the CPU", "", float, double) {
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  const double norm = GENERATE(0.0, 0.3, 7.0, std::numeric_limits<double>::quiet_NaN());
  for (const std::int64_t n : sizes()) {
    CAPTURE(n, norm);
    const Tensor p = random_tensor<TestType>({n}, 1), g = random_tensor<TestType>({n}, 2);
    check_parity(
        {g, squared(norm)}, tolerance<TestType>, [&](auto& t) { clip_by_norm(t[0], t[1], 0.9, 1e-6); }, placement);
    if (norm == 0) continue;  // rho / 1e-12: no gradient has that norm
    check_parity(
        {p, g, squared(norm)}, tolerance<TestType>, [&](auto& t) { add_scaled_by_norm(t[0], t[1], t[2], 0.05); },
        placement);
  }
}
