#include "kernels/unit_variance.h"

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

TEMPLATE_TEST_CASE("the spread of activations agrees with the CPU", "", float, double) {
  for (const Shape& shape : {Shape{1, 1}, Shape{5, 3}, Shape{3, 2, 5, 33}, Shape{20, 700}})
    check_parity({random_tensor<TestType>(shape, 1, 2, 4), random_tensor<double>({3}, 2)}, 1e-12,
                 [](auto& t) { unit_variance(t[0], t[1]); });
}
