#include <utility>

#include "kernels/linear.h"
#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

TEMPLATE_TEST_CASE("biases and their gradients agree with the CPU", "", float, double) {
  using T = TestType;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  for (const auto& [rows, columns] :
       {std::pair{1, 1}, {0, 3}, {7, 1}, {128, 10}, {5000, 3}, {4200, 16}, {300, 129}, {2, 1000}}) {
    if (watched() && rows * columns > 16000) continue;
    CAPTURE(rows, columns);
    const Tensor y = random_tensor<T>({rows, columns}, 1), b = random_tensor<T>({columns}, 2);
    check_parity(
        {b, y}, 0, [](auto& t) { bias_forward(t[0], t[1]); }, placement);
    for (const Write mode : {Write::overwrite, Write::accumulate})
      check_parity(
          {y, b}, sizeof(T) == 4 ? 1e-7 : 1e-14, [&](auto& t) { bias_backward(t[0], t[1], mode); }, placement);
  }
}
