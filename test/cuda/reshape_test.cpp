#include "kernels/reshape.h"

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

TEMPLATE_TEST_CASE("CUDA: flatten", "", float, double) {
  for (const Shape& shape : {Shape{2, 5, 5, 16}, Shape{5, 5, 7, 33}, Shape{1, 1, 1, 1}, Shape{2, 1, 7, 3},
                             Shape{2, 8, 8, 32}, Shape{0, 4, 4, 2}}) {
    CAPTURE(shape.to_string());
    const Tensor x = random_tensor<TestType>(shape, 1);
    const Tensor y = random_tensor<TestType>({shape[0], shape[1] * shape[2] * shape[3]}, 2);
    check_parity({x, y}, exactly, [](std::vector<Tensor>& t) { flatten_forward(t[0], t[1]); });
    for (const Write mode : {Write::overwrite, Write::accumulate})
      check_parity({y, x}, exactly, [&](std::vector<Tensor>& t) { flatten_backward(t[0], t[1], mode); });
  }
}

TEMPLATE_TEST_CASE("CUDA: option-A shortcut", "", float, double) {
  for (const Shape& shape :
       {Shape{2, 8, 8, 16}, Shape{1, 5, 7, 3}, Shape{2, 1, 1, 4}, Shape{3, 4, 4, 1}, Shape{0, 4, 4, 4}})
    for (const auto& [before, channels] :
         {std::pair{shape[3] / 2, 2 * shape[3]}, {0, shape[3]}, {1, shape[3] + 4}, {4, shape[3] + 8}}) {
      CAPTURE(shape.to_string(), before, channels);
      const Tensor x = random_tensor<TestType>(shape, 1);
      const Tensor y = random_tensor<TestType>({shape[0], (shape[1] + 1) / 2, (shape[2] + 1) / 2, channels}, 2);
      const std::int64_t front = before;
      check_parity({x, y}, exactly, [&](std::vector<Tensor>& t) { subsample_pad_forward(t[0], front, t[1]); });
      for (const Write mode : {Write::overwrite, Write::accumulate})
        check_parity({y, x}, exactly, [&](std::vector<Tensor>& t) { subsample_pad_backward(t[0], front, t[1], mode); });
    }
}

TEMPLATE_TEST_CASE("CUDA: weights between memory and file order", "", float, double, std::uint8_t) {
  for (const Shape& memory : {Shape{3, 2, 5, 4}, Shape{7, 3, 3, 40}, Shape{1, 1, 1, 1}, Shape{0, 3, 3, 2}}) {
    CAPTURE(memory.to_string());
    std::vector<TestType> values;
    for (std::int64_t i = 0; i < memory.numel(); ++i) values.push_back(static_cast<TestType>(i));
    const Tensor weight = Tensor::from(memory, values);
    check_parity({weight, {}, {}}, exactly, [](std::vector<Tensor>& t) {
      t[1] = ohwi_to_oihw(t[0]);
      t[2] = oihw_to_ohwi(t[1]);
      CHECK(same_bits(t[0], t[2]));
    });
    CHECK(same_bits(ohwi_to_oihw(on_device(weight)), ohwi_to_oihw(weight)));
  }
}
