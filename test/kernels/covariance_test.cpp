#include "kernels/covariance.h"

#include <limits>

#include "kernels/covariance_paths.h"
#include "kernels/cross_products.h"
#include "test/kernels/patches.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

// Values are at most 1, so are means of products.
template <class T>
constexpr double tolerance = std::max<double>(16 * std::numeric_limits<T>::epsilon(), 1e-14);

template <class T>
void check_symmetric(const Tensor& result) {
  const T* const values = result.data<T>();
  const std::int64_t n = result.dim(1);
  bool symmetric = true;
  for (std::int64_t group = 0; group < result.dim(0); ++group)
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j)
        symmetric = symmetric && values[(group * n + i) * n + j] == values[(group * n + j) * n + i];
  CHECK(symmetric);
}

using Path = void (*)(const Conv2dGeometry&, const Tensor&, bool, Tensor&);

template <class T>
void check_patches(const Conv2dGeometry& g, bool ones, Path path) {
  INFO(text(g) << ", ones " << ones);
  const Tensor x = random_tensor<T>(g.input_shape(), 1);
  const std::int64_t n = g.patch_size() + (ones ? 1 : 0);
  std::vector<double> expected;
  for (std::int64_t group = 0; group < g.groups; ++group) {
    const std::vector<double> part = mean_product(patches(g, x, group, ones));
    expected.insert(expected.end(), part.begin(), part.end());
  }
  Tensor result = random_tensor<T>({g.groups, n, n}, 2), again = random_tensor<T>({g.groups, n, n}, 3);
  path(g, x, ones, result);
  path(g, x, ones, again);
  CHECK(distance(result, expected) <= tolerance<T>);
  CHECK(distance(result, again) == 0);
  check_symmetric<T>(result);
}

}  // namespace

TEMPLATE_TEST_CASE("sums of outer products follow the definition", "[covariance]", float, double) {
  using T = TestType;
  struct Case {
    std::int64_t m, n, runs, length, step, gap;
  };
  for (const Case c : {Case{1, 1, 1, 1, 1, 0},
                       {3, 5, 2, 4, 7, 1},
                       {16, 16, 3, 8, 16, 0},
                       {13, 40, 1, 9, 64, 0},
                       {25, 67, 4, 3, 70, 5},
                       {7, 32, 2, 0, 32, 0},
                       {5, 8, 0, 3, 8, 0}}) {
    CAPTURE(c.m, c.n, c.runs, c.length);
    const std::int64_t run_step = c.length * c.step + c.gap;
    const Tensor a = random_tensor<T>({c.runs * run_step + 80}, 1), b = random_tensor<T>({c.runs * run_step + 80}, 2);
    Tensor sums = random_tensor<T>({c.m, c.n + 3}, 3);
    std::vector<double> expected = doubles(sums);
    for (std::int64_t r = 0; r < c.runs; ++r)
      for (std::int64_t k = 0; k < c.length; ++k)
        for (std::int64_t i = 0; i < c.m; ++i)
          for (std::int64_t j = 0; j < c.n; ++j)
            expected[static_cast<std::size_t>(i * (c.n + 3) + j)] -=
                2.0 * static_cast<double>(a.data<T>()[r * run_step + k * c.step + i]) *
                static_cast<double>(b.data<T>()[r * run_step + k * c.step + j]);
    add_cross_products<T>({a.data<T>(), c.step, run_step}, c.m, {b.data<T>(), c.step, run_step}, c.n, c.runs, c.length,
                          T(-2), sums.data<T>(), c.n + 3);
    CHECK(distance(sums, expected) <= 8 * tolerance<T>);
  }
}

TEMPLATE_TEST_CASE("the covariance is the mean product of each pair of columns", "[covariance]", float, double) {
  using T = TestType;
  for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 9}, {7, 1}, {6, 33}, {128, 84}, {129, 48}, {3000, 16}})
    for (const bool ones : {false, true}) {
      CAPTURE(rows, columns, ones);
      const Tensor x = random_tensor<T>({rows, columns}, 1);
      const std::int64_t n = columns + (ones ? 1 : 0);
      Tensor result = random_tensor<T>({1, n, n}, 2);
      covariance(x, ones, result);
      CHECK(distance(result, mean_product(rows_of(x, 0, columns, ones))) <= tolerance<T>);
      check_symmetric<T>(result);
    }
}

TEMPLATE_TEST_CASE("leading dimensions are rows, and groups matrices of their own", "[covariance]", float, double) {
  using T = TestType;
  for (const std::int64_t groups : {1, 2, 3}) {
    CAPTURE(groups);
    const Tensor dy = random_tensor<T>({5, 4, 3, 48}, 1);
    const std::int64_t size = 48 / groups;
    Tensor result = random_tensor<T>({groups, size, size}, 2);
    group_covariance(dy, groups, result);
    std::vector<double> expected;
    for (std::int64_t group = 0; group < groups; ++group) {
      const std::vector<double> part = mean_product(rows_of(dy, group * size, size, false));
      expected.insert(expected.end(), part.begin(), part.end());
    }
    CHECK(distance(result, expected) <= tolerance<T>);
  }
}

TEMPLATE_TEST_CASE("the patch covariance is that of the im2col matrix", "[covariance]", float, double) {
  using T = TestType;
  const Path path = GENERATE(&patch_covariance, &covariance_by_tiles, &covariance_by_shifts, &covariance_by_lines);
  for (const std::int64_t stride : {1, 2, 3}) {
    if (stride > 1 && (path == &covariance_by_shifts || path == &covariance_by_lines)) continue;
    for (const std::int64_t padding : {0, 1, 2, 5})
      for (const std::int64_t dilation : {1, 2}) {
        if (dilation > 1 && path == &covariance_by_lines) continue;
        for (const std::int64_t groups : {1, 2})
          for (const std::int64_t kernel : {1, 3, 5}) {
            const Conv2dGeometry g{3, 9, 6, 4, 4, kernel, kernel, stride, padding, dilation, groups};
            if (g.out_height() < 1 || g.out_width() < 1) continue;
            check_patches<T>(g, (padding + kernel) % 4 < 2, path);
          }
      }
  }
  for (const bool ones : {false, true}) {
    check_patches<T>({1, 1, 1, 1, 1, 1, 1}, ones, path);
    check_patches<T>({3, 2, 2, 3, 1, 1, 1, 1, 5}, ones, path);  // most patches see padding alone
    if (path != &covariance_by_lines) check_patches<T>({2, 3, 3, 1, 1, 3, 3, 1, 8, 4}, ones, path);
    check_patches<T>({2, 6, 9, 3, 5, 1, 4}, ones, path);
    check_patches<T>({2, 9, 6, 3, 5, 4, 1}, ones, path);
    check_patches<T>({2, 5, 7, 32, 32, 3, 3, 1, 1, 1, 2}, ones, path);
    check_patches<T>({9, 12, 12, 16, 16, 3, 3, 1, 1}, ones, path);  // several threads
    check_patches<T>({100, 10, 9, 3, 3, 5, 5}, ones, path);
  }
}

TEST_CASE("a 1x1 convolution has the covariance of a linear layer", "[covariance]") {
  const Conv2dGeometry g{4, 5, 3, 16, 8, 1, 1};
  const Tensor x = random_tensor<double>(g.input_shape(), 1);
  Tensor of_patches = Tensor::empty({1, 17, 17}, DType::float64), of_rows = of_patches.clone();
  patch_covariance(g, x, true, of_patches);
  covariance(x.reshape({60, 16}), true, of_rows);
  CHECK(distance(of_patches, of_rows) < 1e-14);
}

TEST_CASE("large numbers beside small ones stay exact: sums are short before they are long", "[covariance]") {
  // A constant image: every product is 1, and so is every mean away from the padding.
  const Conv2dGeometry g{64, 32, 32, 16, 16, 3, 3, 1, 0};
  Tensor x =
      Tensor::from<float>(g.input_shape(), std::vector<float>(static_cast<std::size_t>(g.batch * 32 * 32 * 16), 1));
  Tensor result = Tensor::empty({1, 144, 144}, DType::float32);
  patch_covariance(g, x, false, result);
  CHECK(distance(result, std::vector<double>(144 * 144, 1.0)) <= 1e-6);
}

TEST_CASE("mismatched shapes of a covariance are refused", "[covariance]") {
  const Tensor x = random_tensor<float>({4, 5}, 1);
  Tensor result = Tensor::empty({1, 5, 5}, DType::float32);
  REQUIRE_THROWS_AS(covariance(x, true, result), InternalError);
  REQUIRE_THROWS_AS(group_covariance(x, 2, result), InternalError);
}
