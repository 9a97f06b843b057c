#include "kernels/conv2d.h"

#include "kernels/parallel.h"
#include "test/kernels/conv2d_example.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

// batch, height, width, in, out, kernel_h, kernel_w, stride, padding, dilation, groups
std::vector<Conv2dGeometry> cases() {
  std::vector<Conv2dGeometry> all;
  for (const std::int64_t stride : {1, 2, 3})
    for (const std::int64_t padding : {0, 1, 2})
      for (const std::int64_t dilation : {1, 2})
        for (const std::int64_t groups : {1, 2})
          all.push_back({3, 9, 7, 6, 4, 3, 3, stride, padding, dilation, groups});
  for (const std::int64_t channels : {1, 3, 16, 17})
    for (const std::int64_t size : {1, 3, 5})
      for (const std::int64_t stride : {1, 2})
        all.push_back({2, 8, 11, channels, 20 - channels, size, size, stride, size / 2});
  all.push_back({1, 1, 1, 1, 1, 1, 1});
  all.push_back({1, 5, 5, 2, 3, 5, 5});
  all.push_back({2, 6, 9, 3, 5, 1, 4});  // a kernel that is not square
  all.push_back({2, 9, 6, 5, 3, 3, 2, 1, 1});
  all.push_back({2, 6, 6, 8, 8, 3, 3, 1, 1, 1, 8});  // depthwise
  all.push_back({2, 6, 6, 4, 8, 3, 3, 2, 1, 1, 4});
  all.push_back({70, 14, 14, 6, 16, 5, 5});  // several threads and blocks of images
  all.push_back({20, 16, 16, 16, 32, 3, 3, 2, 1});
  return all;
}

template <class T>
void check_against_formula(ConvEngine engine) {
  constexpr DType dtype = dtype_of<T>::value;
  for (const Conv2dGeometry& g : cases()) {
    if (g.out_height() < 1 || g.out_width() < 1) continue;
    INFO(describe(g));
    const Example e = example<T>(g);
    check(e.y, g.output_shape(), dtype, Write::overwrite,
          [&](Tensor& y) { conv2d_forward(g, e.x, e.weight, Tensor(), y, engine); });
    check(e.y_with_bias, g.output_shape(), dtype, Write::overwrite,
          [&](Tensor& y) { conv2d_forward(g, e.x, e.weight, e.bias, y, engine); });
    for (const Write mode : {Write::overwrite, Write::accumulate}) {
      check(e.dx, g.input_shape(), dtype, mode,
            [&](Tensor& dx) { conv2d_backward_data(g, e.dy, e.weight, dx, mode, engine); });
      check(e.dweight, g.weight_shape(), dtype, mode,
            [&](Tensor& dweight) { conv2d_backward_weight(g, e.dy, e.x, dweight, mode, engine); });
    }
  }
}

}  // namespace

TEST_CASE("convolution by im2col agrees with the formula in double", "[conv2d]") {
  check_against_formula<double>(ConvEngine::im2col);
}

TEST_CASE("convolution by im2col agrees with the formula in float", "[conv2d]") {
  check_against_formula<float>(ConvEngine::im2col);
}

TEST_CASE("convolution by the library agrees with the formula", "[conv2d]") {
  if (!conv_library_available()) {
    WARN("skipped: built without oneDNN");
    return;
  }
  check_against_formula<float>(ConvEngine::library);
}

TEST_CASE("convolution in double falls back to im2col", "[conv2d]") {
  const Conv2dGeometry g{2, 6, 6, 3, 4, 3, 3, 1, 1};
  const Example e = example<double>(g);
  for (const ConvEngine engine : {ConvEngine::automatic, ConvEngine::library, ConvEngine::winograd})
    check(e.y, g.output_shape(), DType::float64, Write::overwrite,
          [&](Tensor& y) { conv2d_forward(g, e.x, e.weight, Tensor(), y, engine); });
}

TEST_CASE("all convolution engines agree on layers of real networks", "[conv2d]") {
  const Conv2dGeometry g =
      GENERATE(Conv2dGeometry{16, 32, 32, 3, 16, 3, 3, 1, 1}, Conv2dGeometry{16, 32, 32, 16, 16, 3, 3, 1, 1},
               Conv2dGeometry{16, 16, 16, 32, 64, 3, 3, 2, 1}, Conv2dGeometry{16, 8, 8, 64, 64, 3, 3, 1, 1},
               Conv2dGeometry{16, 32, 32, 3, 6, 5, 5}, Conv2dGeometry{16, 16, 16, 32, 64, 1, 1, 2});
  INFO(describe(g));
  const Tensor x = random_tensor<float>(g.input_shape(), 1), weight = random_tensor<float>(g.weight_shape(), 2);
  const Tensor bias = random_tensor<float>({g.out_channels}, 3), dy = random_tensor<float>(g.output_shape(), 4);
  const auto compare = [&](const Shape& shape, auto&& run) {
    Tensor a = random_tensor<float>(shape, 5), b;
    run(a, ConvEngine::im2col);
    for (const ConvEngine engine : {ConvEngine::automatic, ConvEngine::library, ConvEngine::winograd}) {
      INFO(name_of(engine));
      b = random_tensor<float>(shape, 5);
      run(b, engine);
      CHECK(distance(a, b) <= 1e-5 * largest(doubles(a)));
    }
  };
  compare(g.output_shape(), [&](Tensor& y, ConvEngine engine) { conv2d_forward(g, x, weight, bias, y, engine); });
  for (const Write mode : {Write::overwrite, Write::accumulate}) {
    compare(g.input_shape(),
            [&](Tensor& dx, ConvEngine engine) { conv2d_backward_data(g, dy, weight, dx, mode, engine); });
    compare(g.weight_shape(),
            [&](Tensor& dw, ConvEngine engine) { conv2d_backward_weight(g, dy, x, dw, mode, engine); });
  }
}

TEST_CASE("convolutions give the same bits every time, also after other thread counts", "[conv2d]") {
  const ConvEngine engine = GENERATE(ConvEngine::im2col, ConvEngine::library, ConvEngine::winograd);
  const std::int64_t channels = engine == ConvEngine::winograd ? 16 : 12;
  const Conv2dGeometry g{40, 16, 16, channels, 16, 3, 3, 1, 1};
  const Tensor x = random_tensor<float>(g.input_shape(), 1), weight = random_tensor<float>(g.weight_shape(), 2);
  const Tensor dy = random_tensor<float>(g.output_shape(), 4);
  const auto run = [&] {
    Tensor y = Tensor::empty(g.output_shape(), DType::float32), dx = Tensor::empty(g.input_shape(), DType::float32);
    Tensor dweight = Tensor::empty(g.weight_shape(), DType::float32);
    conv2d_forward(g, x, weight, Tensor(), y, engine);
    conv2d_backward_data(g, dy, weight, dx, Write::overwrite, engine);
    conv2d_backward_weight(g, dy, x, dweight, Write::overwrite, engine);
    return std::tuple(y.to_vector<float>(), dx.to_vector<float>(), dweight.to_vector<float>());
  };
  const int before = threads();
  set_threads(2);
  const auto first = run();
  for (int repeat = 0; repeat < 3; ++repeat) CHECK(run() == first);
  set_threads(1);
  run();
  set_threads(2);
  CHECK(run() == first);
  set_threads(before);
}

TEST_CASE("a convolution of no images", "[conv2d]") {
  const Conv2dGeometry g{0, 6, 6, 2, 4, 3, 3};
  const Tensor x = random_tensor<float>(g.input_shape(), 1), weight = random_tensor<float>(g.weight_shape(), 2);
  Tensor y = random_tensor<float>(g.output_shape(), 3), dx = x.clone(), dweight = weight.clone();
  conv2d_forward(g, x, weight, Tensor(), y, ConvEngine::automatic);
  conv2d_backward_data(g, y, weight, dx, Write::overwrite, ConvEngine::automatic);
  conv2d_backward_weight(g, y, x, dweight, Write::accumulate, ConvEngine::automatic);
  CHECK(distance(dweight, weight) == 0);
  conv2d_backward_weight(g, y, x, dweight, Write::overwrite, ConvEngine::automatic);
  CHECK(distance(dweight, std::vector<double>(72, 0.0)) == 0);
}

TEST_CASE("convolutions refuse tensors that do not fit", "[conv2d]") {
  Conv2dGeometry g{2, 6, 6, 4, 4, 3, 3};
  const Tensor x = random_tensor<float>(g.input_shape(), 1), weight = random_tensor<float>(g.weight_shape(), 2);
  Tensor y = Tensor::empty(g.output_shape(), DType::float32), small = Tensor::empty({2, 4, 4, 3}, DType::float32);
  REQUIRE_THROWS_AS(conv2d_forward(g, x, weight, Tensor(), small, ConvEngine::automatic), InternalError);
  REQUIRE_THROWS_AS(conv2d_forward(g, x, weight, weight, y, ConvEngine::automatic), InternalError);
  g.groups = 3;
  REQUIRE_THROWS_AS(conv2d_forward(g, x, weight, Tensor(), y, ConvEngine::automatic), InternalError);
}

TEST_CASE("a kernel larger than the padded image has no output, whatever the stride", "[conv2d]") {
  for (const std::int64_t stride : {1, 2, 3}) {
    const Conv2dGeometry g{1, 3, 3, 1, 1, 4, 4, stride};
    CHECK(g.out_height() == 0);
    const Tensor x = random_tensor<float>(g.input_shape(), 1), weight = random_tensor<float>(g.weight_shape(), 2);
    Tensor y = Tensor::empty({1, 1, 1, 1}, DType::float32);
    REQUIRE_THROWS_AS(conv2d_forward(g, x, weight, Tensor(), y, ConvEngine::automatic), InternalError);
  }
}

TEST_CASE("convolution engines have names", "[conv2d]") {
  for (const ConvEngine engine : {ConvEngine::automatic, ConvEngine::im2col, ConvEngine::winograd})
    CHECK(parse_conv_engine(name_of(engine)) == engine);
  if (conv_library_available())
    CHECK(parse_conv_engine("library") == ConvEngine::library);
  else
    REQUIRE_THROWS_AS(parse_conv_engine("library"), UserError);
  REQUIRE_THROWS_WITH(parse_conv_engine("fft"), ContainsSubstring("'fft'") && ContainsSubstring("im2col"));
}
