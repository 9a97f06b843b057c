#include "kernels/linear.h"
#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

TEMPLATE_TEST_CASE("CUDA: biases and their gradients", "", float, double) {
  for (const auto& [rows, columns] :
       {std::pair{1, 1}, {0, 3}, {7, 1}, {128, 10}, {5000, 3}, {4200, 16}, {300, 129}, {2, 1000}}) {
    CAPTURE(rows, columns);
    const Tensor y = random_tensor<TestType>({rows, columns}, 1), b = random_tensor<TestType>({columns}, 2);
    check_parity({b, y}, exactly, [](std::vector<Tensor>& t) { bias_forward(t[0], t[1]); });
    for (const Write mode : {Write::overwrite, Write::accumulate})
      check_parity({y, b}, {1e-7, 1e-14}, [&](std::vector<Tensor>& t) { bias_backward(t[0], t[1], mode); });
  }
}
