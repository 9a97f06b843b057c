#include "kernels/lamb.h"

#include <limits>

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

TEMPLATE_TEST_CASE("steps of LAMB agree with the CPU", "", float, double) {
  const double trust_max = GENERATE(std::numeric_limits<double>::infinity(), 0.7);
  // More than one chunk (where that is not slow), one element, none, without decay, and what lies between them.
  const std::int64_t large = watched() ? 500 : 9000, size = large + 400;
  const std::vector<LambTensor> list = {
      {3, large, true}, {large + 1, large + 2, true}, {large + 2, large + 2, true}, {large + 16, large + 316, false}};
  const LambStep s{.lr = 0.1,
                   .beta1 = 0.9,
                   .beta2 = 0.99,
                   .eps = 1e-6,
                   .weight_decay = 0.3,
                   .correction1 = 0.19,
                   .correction2 = 0.0199,
                   .trust_max = trust_max};
  const Tensor p = random_tensor<TestType>({size}, 1), g = random_tensor<TestType>({size}, 2);
  const Tensor m = random_tensor<TestType>({size}, 3), v = random_tensor<TestType>({size}, 4, 0, 1);
  const Tensor ratios = Tensor::zeros({std::ssize(list)}, DType::float64);
  check_parity({p, g, m, v, ratios}, sizeof(TestType) == 4 ? 2e-6 : 1e-13, [&](auto& t) {
    const Device device = t[0].device();
    const LambTensors tensors(list, device);
    t[4].copy_from(lamb_moments(t[0], t[1], t[2], t[3], tensors, step_value(s, device)));
    lamb_step(t[0], t[2], t[3], tensors, t[4], step_value(s, device));
  });
}
