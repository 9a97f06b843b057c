#include "kernels/optimizer_steps.h"

#include <cmath>

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

std::vector<std::int64_t> sizes() {
  return watched() ? std::vector<std::int64_t>{0, 1, 997} : std::vector<std::int64_t>{0, 1, 997, 40001};
}

template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 1e-6 : 1e-14;

}  // namespace

TEMPLATE_TEST_CASE("steps of SGD agree with the CPU", "", float, double) {
  const bool first = GENERATE(false, true), nesterov = GENERATE(false, true);
  for (const std::int64_t n : sizes()) {
    CAPTURE(n);
    const Tensor p = random_tensor<TestType>({n}, 1), g = random_tensor<TestType>({n}, 2);
    const Tensor buffer = random_tensor<TestType>({n}, 3);
    const SgdStep s{.lr = 0.1,
                    .momentum = 0.9,
                    .dampening = nesterov ? 0 : 0.2,
                    .weight_decay = 0.01,
                    .nesterov = nesterov,
                    .first = first};
    check_parity({p, g, buffer}, tolerance<TestType>,
                 [&](auto& t) { sgd_step(t[0], t[1], t[2], step_value(s, t[0].device())); });
    const SgdStep plain{
        .lr = 0.1, .momentum = 0, .dampening = 0, .weight_decay = 0.01, .nesterov = false, .first = first};
    check_parity({p, g, Tensor()}, tolerance<TestType>,
                 [&](auto& t) { sgd_step(t[0], t[1], t[2], step_value(plain, t[0].device())); });
  }
}

TEMPLATE_TEST_CASE("steps of Adam and AdamW agree with the CPU", "", float, double) {
  const bool decoupled = GENERATE(false, true);
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  for (const std::int64_t n : sizes()) {
    CAPTURE(n);
    const Tensor p = random_tensor<TestType>({n}, 1), g = random_tensor<TestType>({n}, 2);
    const Tensor m = random_tensor<TestType>({n}, 3), v = random_tensor<TestType>({n}, 4, 0, 1);
    const AdamStep s{.lr = 0.1,
                     .beta1 = 0.9,
                     .beta2 = 0.99,
                     .eps = 1e-8,
                     .weight_decay = 0.01,
                     .decoupled = decoupled,
                     .correction1 = 0.3,
                     .correction2 = 0.2};
    check_parity(
        {p, g, m, v}, 10 * tolerance<TestType>,
        [&](auto& t) { adam_step(t[0], t[1], t[2], t[3], step_value(s, t[0].device())); }, placement);
  }
}

TEMPLATE_TEST_CASE("steps of Adan agree with the CPU", "", float, double) {
  const bool proximal = GENERATE(false, true), first = GENERATE(false, true);
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  for (const std::int64_t n : sizes()) {
    CAPTURE(n);
    const Tensor p = random_tensor<TestType>({n}, 1), g = random_tensor<TestType>({n}, 2);
    const Tensor m = random_tensor<TestType>({n}, 3), v = random_tensor<TestType>({n}, 4);
    const Tensor second = random_tensor<TestType>({n}, 5, 0, 1), previous = random_tensor<TestType>({n}, 6);
    const AdanStep s{.lr = 0.1,
                     .beta1 = 0.98,
                     .beta2 = 0.92,
                     .beta3 = 0.99,
                     .eps = 1e-8,
                     .weight_decay = 0.02,
                     .proximal = proximal,
                     .first = first,
                     .correction1 = 0.3,
                     .correction2 = 0.4,
                     .correction3 = 0.2};
    check_parity(
        {p, g, m, v, second, previous}, 10 * tolerance<TestType>,
        [&](auto& t) { adan_step(t[0], t[1], t[2], t[3], t[4], t[5], step_value(s, t[0].device())); }, placement);
  }
}

TEMPLATE_TEST_CASE("steps of AdaAct agree with the CPU", "", float, double) {
  for (const std::int64_t columns : {1, 9, 27, 144}) {
    CAPTURE(columns);
    // A matrix, a gap, parameters of no weighted layer, a bias.
    const std::int64_t matrix = 13 * columns, size = matrix + 60;
    const std::vector<AdaActPiece> pieces = {{2, 2 + matrix, columns, 3},
                                             {matrix + 10, matrix + 30, 1, -1},
                                             {matrix + 30, matrix + 55, 1, columns + 3, false}};
    const Tensor p = random_tensor<TestType>({size}, 1), g = random_tensor<TestType>({size}, 2);
    const Tensor m = random_tensor<TestType>({size}, 3), rates = random_tensor<TestType>({columns + 4}, 4, 0.5, 2);
    const AdaActStep s{.lr = 0.1, .beta1 = 0.9, .weight_decay = 0.02, .correction1 = 0.19};
    check_parity({p, g, m, rates}, tolerance<TestType>, [&](auto& t) {
      const Device device = t[0].device();
      adaact_step(t[0], t[1], t[2], t[3], AdaActPieces(pieces, device), step_value(s, device));
    });
  }
}

TEMPLATE_TEST_CASE("rates of AdaAct agree with the CPU, at the ends of their range too", "", float, double) {
  const TestType nan = std::numeric_limits<TestType>::quiet_NaN();
  const Tensor v = Tensor::from<TestType>({6}, {0, TestType(0.125), TestType(0.5), 8, TestType(1e30), nan});
  const Tensor rate = Tensor::zeros({6}, v.dtype());
  const double t = tolerance<TestType>;
  for (const AdaActStep& s :
       {AdaActStep{.correction2 = 0.5, .eps = 0.1, .low = 0.25, .high = 4}, AdaActStep{.correction2 = 0.5}})
    check_parity({v, rate}, t, [&](auto& x) { adaact_rate(x[0], step_value(s, x[0].device()), x[1]); });
}
