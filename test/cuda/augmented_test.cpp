#include "kernels/augmented.h"

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

TEMPLATE_TEST_CASE("[W | b] agrees with the CPU", "", float, double) {
  using T = TestType;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  for (const Shape& shape : {Shape{1, 1}, {7, 5}, {6, 3, 3, 2}, {33, 40}})
    for (const bool with_bias : {false, true}) {
      CAPTURE(shape.to_string(), with_bias);
      const std::int64_t out = shape[0], d = shape.numel() / out;
      const Tensor weight = random_tensor<T>(shape, 1), bias = with_bias ? random_tensor<T>({out}, 2) : Tensor();
      const Tensor matrix = random_tensor<T>({out, d + (with_bias ? 1 : 0)}, 3);
      check_parity(
          {weight, bias, matrix}, 0, [](auto& t) { join_bias(t[0], t[1], t[2]); }, placement);
      for (const Write mode : {Write::overwrite, Write::accumulate})
        check_parity(
            {weight, bias, matrix}, 0, [&](auto& t) { split_bias(t[2], t[0], t[1], mode); }, placement);
    }
}
