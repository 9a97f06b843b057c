#include "kernels/conv2d.h"

#include <iostream>

#include "kernels/precision.h"
#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

// Every direction, with and without bias, overwriting and adding.
template <class T>
void check(const Conv2dGeometry& g, ConvEngine engine, double tolerance, Placement placement) {
  CAPTURE(g.input_shape().to_string(), g.weight_shape().to_string(), g.stride, g.padding, g.dilation, g.groups);
  const Tensor x = random_tensor<T>(g.input_shape(), 1), w = random_tensor<T>(g.weight_shape(), 2);
  const Tensor b = random_tensor<T>({g.out_channels}, 3), y = random_tensor<T>(g.output_shape(), 4);
  check_parity(
      {x, w, b, y}, tolerance, [&](auto& t) { conv2d_forward(g, t[0], t[1], t[2], t[3], engine); }, placement);
  check_parity(
      {x, w, y}, tolerance, [&](auto& t) { conv2d_forward(g, t[0], t[1], {}, t[2], engine); }, placement);
  for (const Write mode : {Write::overwrite, Write::accumulate}) {
    check_parity(
        {y, w, x}, tolerance, [&](auto& t) { conv2d_backward_data(g, t[0], t[1], t[2], mode, engine); }, placement);
    check_parity(
        {y, x, w}, tolerance, [&](auto& t) { conv2d_backward_weight(g, t[0], t[1], t[2], mode, engine); }, placement);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("convolutions agree with the CPU", "", float, double) {
  const double tolerance = sizeof(TestType) == 4 ? 3e-6 : 1e-14;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  const std::vector<Conv2dGeometry> geometries = {
      {1, 1, 1, 1, 1, 1, 1},              // the smallest
      {2, 5, 7, 3, 4, 3, 3, 1, 1},        // channels one by one
      {2, 6, 5, 8, 5, 3, 3, 2, 1},        // in packs; a stride that leaves pixels out
      {3, 7, 7, 4, 6, 1, 1, 2, 0},        // the 1x1 shortcut
      {2, 9, 8, 4, 4, 3, 2, 1, 2, 2},     // dilation, a kernel that is no square
      {2, 6, 6, 8, 4, 3, 3, 1, 1, 1, 2},  // groups
      {2, 5, 5, 4, 8, 5, 5, 1, 2, 1, 4},  // one channel per group
      {0, 4, 4, 3, 2, 3, 3, 1, 1},        // no images
  };
  for (const Conv2dGeometry& g : geometries) {
    check<TestType>(g, ConvEngine::im2col, tolerance, placement);
    if (sizeof(TestType) == 4)
      check<TestType>(g, ConvEngine::automatic, 5e-5, placement);  // cuDNN, where it is built in
  }
}

TEST_CASE("a convolution whose column matrix is cut into blocks of images agrees with the CPU") {
  if (watched() || !cuda_device()) return;
  // 2 images of 128 MiB of columns each: more than one block.
  const Conv2dGeometry g{3, 256, 256, 16, 1, 6, 6, 1, 0};
  const Tensor x = random_tensor<float>(g.input_shape(), 1), w = random_tensor<float>(g.weight_shape(), 2);
  const Tensor y = random_tensor<float>(g.output_shape(), 4), dw = random_tensor<float>(g.weight_shape(), 5);
  const auto on_device = [&](auto&& f) {
    std::vector<Tensor> t = {x.to(*cuda_device()), w.to(*cuda_device()), y.to(*cuda_device()), dw.to(*cuda_device())};
    f(t);
    return t;
  };
  const auto all = [&](std::vector<Tensor>& t) {
    conv2d_backward_weight(g, t[2], t[0], t[3], Write::accumulate, ConvEngine::im2col);
    conv2d_forward(g, t[0], t[1], {}, t[2], ConvEngine::im2col);
  };
  std::vector<Tensor> here = {x.clone(), w.clone(), y.clone(), dw.clone()};
  all(here);
  const std::vector<Tensor> there = on_device(all);
  CHECK(relative_distance(there[2], here[2]) < 1e-5);
  CHECK(relative_distance(there[3], here[3]) < 1e-4);
}

// Engine against engine on the device: the CPU would take minutes.
TEST_CASE("cuDNN agrees with im2col on the convolutions of ResNet-20 and LeNet-5") {
  const auto device = cuda_device();
  if (!device) return;
#ifndef ACTGRAD_HAVE_CUDNN
  std::cout << "skipped, built without cuDNN\n";  // ctest looks for it
#else
  const std::int64_t n = emulated() ? 1 : 128;
  std::vector<Conv2dGeometry> geometries = {
      {n, 32, 32, 3, 16, 3, 3, 1, 1},  {n, 32, 32, 16, 16, 3, 3, 1, 1}, {n, 32, 32, 16, 32, 3, 3, 2, 1},
      {n, 16, 16, 32, 32, 3, 3, 1, 1}, {n, 16, 16, 32, 64, 3, 3, 2, 1}, {n, 8, 8, 64, 64, 3, 3, 1, 1},
      {n, 32, 32, 3, 6, 5, 5},         {n, 14, 14, 6, 16, 5, 5},
  };
  if (watched()) geometries = {{2, 6, 6, 3, 16, 3, 3, 1, 1}, {2, 6, 6, 16, 32, 3, 3, 2, 1}};
  struct Full {
    ~Full() { set_matrix_precision(MatrixPrecision::full); }
  } full_afterwards;
  for (const auto& [precision, name, tolerance] :
       {std::tuple(MatrixPrecision::full, "fp32", 5e-5), std::tuple(MatrixPrecision::tf32, "tf32", 5e-3),
        std::tuple(MatrixPrecision::bf16, "bf16", 3e-2)}) {
    set_matrix_precision(precision);
    double worst = 0;
    for (const Conv2dGeometry& g : geometries) {
      CAPTURE(g.input_shape().to_string(), g.weight_shape().to_string(), g.stride, g.padding);
      const Tensor x = random_tensor<float>(g.input_shape(), 1), w = random_tensor<float>(g.weight_shape(), 2);
      const Tensor b = random_tensor<float>({g.out_channels}, 3), dy = random_tensor<float>(g.output_shape(), 4);
      const auto results = [&](ConvEngine engine) {
        const Tensor x_there = x.to(*device), w_there = w.to(*device), dy_there = dy.to(*device);
        // The gradients are added to what is there.
        Tensor y = Tensor::empty(g.output_shape(), DType::float32, *device), dx = x.to(*device), dw = w.to(*device);
        conv2d_forward(g, x_there, w_there, b.to(*device), y, engine);
        conv2d_backward_data(g, dy_there, w_there, dx, Write::accumulate, engine);
        conv2d_backward_weight(g, dy_there, x_there, dw, Write::accumulate, engine);
        return std::vector<Tensor>{y, dx, dw};
      };
      const auto expected = results(ConvEngine::im2col), found = results(ConvEngine::library);
      const auto again = results(ConvEngine::library);
      for (std::size_t i = 0; i < found.size(); ++i) {
        const double distance = relative_distance(found[i], expected[i]);
        worst = std::max(worst, distance);
        CHECK(distance < tolerance);
        CHECK(same_bits(found[i], again[i]));
      }
    }
    std::cout << "cuDNN and im2col, " << name << ": largest difference " << worst << " of the largest value\n";
  }
#endif
}
