#include "kernels/linear.h"

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

TEMPLATE_TEST_CASE("linear layers agree with the CPU", "", float, double) {
  using T = TestType;
  const double tolerance = sizeof(T) == 4 ? 2e-6 : 1e-14;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  for (const auto& [rows, in, out] :
       std::vector<std::array<std::int64_t, 3>>{{1, 1, 1}, {7, 5, 3}, {33, 64, 10}, {0, 4, 3}}) {
    CAPTURE(rows, in, out);
    const Tensor x = random_tensor<T>({rows, in}, 1), w = random_tensor<T>({out, in}, 2),
                 b = random_tensor<T>({out}, 3);
    const Tensor y = random_tensor<T>({rows, out}, 4);
    check_parity(
        {x, w, b, y}, tolerance, [](auto& t) { linear_forward(t[0], t[1], t[2], t[3]); }, placement);
    check_parity(
        {x, w, y}, tolerance, [](auto& t) { linear_forward(t[0], t[1], {}, t[2]); }, placement);
    for (const Write mode : {Write::overwrite, Write::accumulate}) {
      check_parity(
          {y, w, x}, tolerance, [&](auto& t) { linear_backward_input(t[0], t[1], t[2], mode); }, placement);
      check_parity(
          {y, x, w}, tolerance, [&](auto& t) { linear_backward_weight(t[0], t[1], t[2], mode); }, placement);
    }
  }
}
