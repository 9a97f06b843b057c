#include "kernels/reshape.h"

#include <utility>

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

TEMPLATE_TEST_CASE("flatten agrees with the CPU", "", float, double) {
  using T = TestType;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  for (const Shape& shape :
       {Shape{2, 5, 5, 16}, Shape{3, 5, 7, 33}, Shape{1, 1, 1, 1}, Shape{2, 1, 7, 3}, Shape{2, 8, 8, 32},
        Shape{0, 4, 4, 2}, Shape{100, 3, 3, 2}}) {  // the last: several tiles per block
    CAPTURE(shape.to_string());
    const Tensor x = random_tensor<T>(shape, 1), y = random_tensor<T>({shape[0], shape[1] * shape[2] * shape[3]}, 2);
    check_parity(
        {x, y}, 0, [](auto& t) { flatten_forward(t[0], t[1]); }, placement);
    for (const Write mode : {Write::overwrite, Write::accumulate})
      check_parity(
          {y, x}, 0, [&](auto& t) { flatten_backward(t[0], t[1], mode); }, placement);
  }
}

TEMPLATE_TEST_CASE("the option-A shortcut agrees with the CPU", "", float, double) {
  using T = TestType;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  for (const Shape& shape :
       {Shape{2, 8, 8, 16}, Shape{1, 5, 7, 3}, Shape{2, 1, 1, 4}, Shape{3, 4, 4, 1}, Shape{0, 4, 4, 4}}) {
    const std::int64_t c = shape[3];
    for (const auto& [before, channels] : {std::pair{c / 2, 2 * c}, {0, c}, {1, c + 4}, {4, c + 8}}) {
      CAPTURE(shape.to_string(), before, channels);
      const std::int64_t front = before;
      const Tensor x = random_tensor<T>(shape, 1);
      const Tensor y = random_tensor<T>({shape[0], (shape[1] + 1) / 2, (shape[2] + 1) / 2, channels}, 2);
      check_parity(
          {x, y}, 0, [&](auto& t) { subsample_pad_forward(t[0], front, t[1]); }, placement);
      for (const Write mode : {Write::overwrite, Write::accumulate})
        check_parity(
            {y, x}, 0, [&](auto& t) { subsample_pad_backward(t[0], front, t[1], mode); }, placement);
    }
  }
}

TEMPLATE_TEST_CASE("concatenated channels agree with the CPU", "", float, double) {
  using T = TestType;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  for (const auto& [a, b] : {std::pair{Shape{2, 5, 5, 16}, Shape{2, 5, 5, 8}},
                             {Shape{3, 2, 7, 3}, Shape{3, 2, 7, 5}},
                             {Shape{1, 1, 1, 1}, Shape{1, 1, 1, 4}},
                             {Shape{0, 4, 4, 2}, Shape{0, 4, 4, 2}}}) {
    CAPTURE(a.to_string(), b.to_string());
    const std::int64_t behind = a[3];
    const Tensor x = random_tensor<T>(a, 1), z = random_tensor<T>(b, 2);
    const Tensor y = random_tensor<T>({a[0], a[1], a[2], a[3] + b[3]}, 3);
    check_parity(
        {x, z, y}, 0, [](auto& t) { concat_channels(t[0], t[1], t[2]); }, placement);
    for (const Write mode : {Write::overwrite, Write::accumulate})
      check_parity(
          {y, x, z}, 0,
          [&](auto& t) {
            slice_channels(t[0], 0, t[1], mode);
            slice_channels(t[0], behind, t[2], mode);
          },
          placement);
  }
}

TEMPLATE_TEST_CASE("weights change their order on the device as on the CPU", "", float, double, std::uint8_t) {
  const auto device = cuda_device();
  if (!device) return;
  for (const Shape& shape : {Shape{3, 2, 5, 4}, Shape{7, 3, 3, 40}, Shape{1, 1, 1, 1}, Shape{0, 3, 3, 2}}) {
    CAPTURE(shape.to_string());
    std::vector<TestType> values;
    for (std::int64_t i = 0; i < shape.numel(); ++i) values.push_back(static_cast<TestType>(i));
    const Tensor weight = Tensor::from(shape, values), there = place(weight, *device);
    in_several_orders([&] {
      CHECK((ohwi_to_oihw(there).shape() == ohwi_to_oihw(weight).shape()));
      CHECK(same_bits(ohwi_to_oihw(there), ohwi_to_oihw(weight)));
      CHECK(same_bits(oihw_to_ohwi(there), oihw_to_ohwi(weight)));
    });
  }
}
