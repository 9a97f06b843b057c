#include "kernels/parallel.h"
#include "kernels/winograd/convolution.h"
#include "kernels/winograd/transforms.h"
#include "test/kernels/conv2d_example.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

std::vector<double> random_values(std::int64_t n, std::uint64_t stream) {
  return doubles(random_tensor<double>({n}, stream));
}

// The transforms of one row of M outputs against the sums that they stand for.
template <int M>
void check_transforms() {
  constexpr int n = M + 2;
  using T = winograd::Transforms<M>;
  const std::vector<double> d = random_values(n, 1), g = random_values(3, 2), dy = random_values(M, 3);
  double v[n], u[n], z[n], products[n], gradient_products[n];
  T::input(d.data(), v);
  T::taps(g.data(), u);
  T::output_gradient(dy.data(), z);
  for (int i = 0; i < n; ++i) products[i] = u[i] * v[i], gradient_products[i] = z[i] * v[i];
  std::vector<double> y(M), dg(3), y_expected(M), dg_expected(3);
  T::output(products, y.data());
  T::taps_gradient(gradient_products, dg.data());
  for (int o = 0; o < M; ++o)
    for (int tap = 0; tap < 3; ++tap) {
      y_expected[static_cast<std::size_t>(o)] +=
          g[static_cast<std::size_t>(tap)] * d[static_cast<std::size_t>(o + tap)];
      dg_expected[static_cast<std::size_t>(tap)] +=
          dy[static_cast<std::size_t>(o)] * d[static_cast<std::size_t>(o + tap)];
    }
  CHECK(distance(y, y_expected) < 1e-14);
  CHECK(distance(dg, dg_expected) < 1e-14);
}

// Every instruction set that this machine has.
std::vector<winograd::Choice> instruction_sets() {
  using winograd::TileKernels;
  std::vector<winograd::Choice> sets = {
      [](int m) -> const TileKernels& { return *winograd::portable::tile_kernels(m); }};
  if (winograd::avx2::tile_kernels(4))
    sets.push_back([](int m) -> const TileKernels& { return *winograd::avx2::tile_kernels(m); });
  if (winograd::avx512::tile_kernels(4))
    sets.push_back([](int m) -> const TileKernels& { return *winograd::avx512::tile_kernels(m); });
  return sets;
}

// 3x3, stride 1
Conv2dGeometry geometry(std::int64_t batch, std::int64_t height, std::int64_t width, std::int64_t in, std::int64_t out,
                        std::int64_t padding) {
  return {batch, height, width, in, out, 3, 3, 1, padding};
}

std::vector<Conv2dGeometry> cases() {
  std::vector<Conv2dGeometry> all;
  for (const std::int64_t padding : {0, 1, 2}) {  // whole tiles and every kind of edge; images smaller than a tile
    for (const std::int64_t size : {1, 2, 3, 4, 5, 6, 7, 8, 13})
      if (size + 2 * padding >= 3) all.push_back(geometry(3, size, size, 16, 16, padding));
    all.push_back(geometry(2, 9, 18, 32, 16, padding));
    all.push_back(geometry(2, 18, 3, 16, 32, padding));
  }
  for (const std::int64_t channels : {32, 48, 64, 80, 96, 128})  // one slice and several
    all.push_back(geometry(3, 6, 7, channels, 160 - channels, 1));
  all.push_back(geometry(1, 4, 4, 128, 128, 1));   // fewer blocks than threads
  all.push_back(geometry(40, 8, 8, 64, 64, 1));    // several blocks per thread
  all.push_back(geometry(9, 12, 12, 64, 128, 1));  // slices of both, several blocks
  return all;
}

}  // namespace

TEST_CASE("Winograd transforms in double equal the correlation", "[winograd]") {
  check_transforms<2>();
  check_transforms<4>();
}

TEST_CASE("Winograd convolution agrees with the formula on every instruction set", "[winograd]") {
  const int before = threads();
  for (const Conv2dGeometry& g : cases()) {
    REQUIRE(winograd::supports(g));
    const Example e = example<float>(g);
    for (const winograd::Choice set : instruction_sets())
      for (const int count : {1, 2, 3}) {
        set_threads(count);
        INFO(describe(g) << ", " << set(4).instruction_set << ", " << count << " threads");
        check(e.y, g.output_shape(), DType::float32, Write::overwrite,
              [&](Tensor& y) { winograd::forward(g, e.x, e.weight, Tensor(), y, set); });
        check(e.y_with_bias, g.output_shape(), DType::float32, Write::overwrite,
              [&](Tensor& y) { winograd::forward(g, e.x, e.weight, e.bias, y, set); });
        for (const Write mode : {Write::overwrite, Write::accumulate}) {
          check(e.dx, g.input_shape(), DType::float32, mode,
                [&](Tensor& dx) { winograd::backward_data(g, e.dy, e.weight, dx, mode, set); });
          check(e.dweight, g.weight_shape(), DType::float32, mode,
                [&](Tensor& dweight) { winograd::backward_weight(g, e.dy, e.x, dweight, mode, set); });
        }
      }
  }
  set_threads(before);
}

TEST_CASE("Winograd takes the tile size of the fewest multiplications", "[winograd]") {
  CHECK(winograd::tile_size(32, 32) == 4);
  CHECK(winograd::tile_size(7, 7) == 4);
  CHECK(winograd::tile_size(6, 6) == 2);  // as many, and more accurate
  CHECK(winograd::tile_size(2, 2) == 2);
}

TEST_CASE("Winograd leaves other convolutions to other engines", "[winograd]") {
  const auto engine = [](const Conv2dGeometry& g) { return engine_for(g, DType::float32, ConvEngine::winograd); };
  Conv2dGeometry g = geometry(2, 8, 8, 16, 32, 1);
  CHECK(engine(g) == ConvEngine::winograd);
  CHECK(engine_for(g, DType::float64, ConvEngine::winograd) == ConvEngine::im2col);
  CHECK(engine_for(g, DType::float32, ConvEngine::im2col) == ConvEngine::im2col);
  CHECK(engine_for(g, DType::float32, ConvEngine::automatic) == ConvEngine::winograd);
  g.batch = 1;  // too few tiles for the fastest, enough for who wants it
  CHECK(engine_for(g, DType::float32, ConvEngine::automatic) != ConvEngine::winograd);
  CHECK(engine(g) == ConvEngine::winograd);
  g.stride = 2;
  CHECK(engine(g) != ConvEngine::winograd);
  g = geometry(2, 8, 8, 24, 32, 1);
  CHECK(engine(g) != ConvEngine::winograd);
  g = {2, 8, 8, 16, 16, 5, 5, 1, 2};
  CHECK(engine(g) != ConvEngine::winograd);
}

TEST_CASE("Winograd convolution is honest float32", "[winograd]") {
  const Conv2dGeometry g = GENERATE(geometry(32, 32, 32, 16, 16, 1), geometry(32, 16, 16, 32, 32, 1),
                                    geometry(32, 8, 8, 64, 64, 1), geometry(8, 4, 4, 256, 256, 1));
  INFO(describe(g));
  const Tensor x = random_tensor<float>(g.input_shape(), 1), weight = random_tensor<float>(g.weight_shape(), 2);
  const Tensor dy = random_tensor<float>(g.output_shape(), 3);
  const auto in_double = [](const Tensor& a) { return Tensor::from(a.shape(), doubles(a)); };
  const Tensor x64 = in_double(x), weight64 = in_double(weight), dy64 = in_double(dy);
  // The error of both engines, as a share of the largest value.
  const auto compare = [&](const Shape& shape, const auto& run) {
    Tensor exact = Tensor::empty(shape, DType::float64);
    run(exact, ConvEngine::im2col, x64, weight64, dy64);
    const auto error = [&](ConvEngine engine) {
      Tensor result = Tensor::empty(shape, DType::float32);
      run(result, engine, x, weight, dy);
      return distance(result, exact) / largest(doubles(exact));
    };
    const double direct = error(conv_library_available() ? ConvEngine::library : ConvEngine::im2col);
    const double fast = error(ConvEngine::winograd);
    INFO("error of the direct engine " << direct << ", of Winograd's " << fast);
    CHECK(fast < 1e-5);
    CHECK(fast <= 8 * direct);
  };
  compare(g.output_shape(), [&](Tensor& y, ConvEngine e, const Tensor& a, const Tensor& w, const Tensor&) {
    conv2d_forward(g, a, w, Tensor(), y, e);
  });
  compare(g.input_shape(), [&](Tensor& dx, ConvEngine e, const Tensor&, const Tensor& w, const Tensor& d) {
    conv2d_backward_data(g, d, w, dx, Write::overwrite, e);
  });
  compare(g.weight_shape(), [&](Tensor& dw, ConvEngine e, const Tensor& a, const Tensor&, const Tensor& d) {
    conv2d_backward_weight(g, d, a, dw, Write::overwrite, e);
  });
}
