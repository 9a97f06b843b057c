#include "kernels/second_moment.h"

#include <algorithm>
#include <limits>

#include "kernels/im2col.h"
#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

// The reference sums up to 65,536 squares one after another in double.
template <class T>
constexpr double tolerance = std::max<double>(8 * std::numeric_limits<T>::epsilon(), 1e-13);

// The mean of each column's numbers, or of their squares.
std::vector<double> mean_powers(const std::vector<double>& values, std::int64_t columns, int power) {
  std::vector<double> result(static_cast<std::size_t>(columns));
  for (std::size_t i = 0; i < values.size(); ++i)
    result[i % result.size()] += power == 2 ? values[i] * values[i] : values[i];
  for (double& value : result) value *= static_cast<double>(columns) / static_cast<double>(values.size());
  return result;
}

// The definition: the means of the im2col matrix, group by group.
template <class T>
std::vector<double> from_patches(const Conv2dGeometry& g, const Tensor& x, int power) {
  std::vector<double> result;
  Tensor columns = Tensor::empty({g.batch * g.out_height() * g.out_width(), g.patch_size()}, x.dtype());
  for (std::int64_t group = 0; group < g.groups; ++group) {
    im2col(g, x.data<T>(), 0, g.batch, group, columns.data<T>());
    const std::vector<double> part = mean_powers(doubles(columns), g.patch_size(), power);
    result.insert(result.end(), part.begin(), part.end());
  }
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("the second moment is the mean square of each column", "[second_moment]", float, double) {
  using T = TestType;
  for (const auto& [rows, columns] :
       {std::pair{1, 1}, {1, 9}, {7, 1}, {6, 33}, {128, 84}, {129, 400}, {5000, 3}, {3, 20000}}) {
    INFO(rows << " x " << columns);
    const Tensor x = random_tensor<T>({rows, columns}, 1);
    Tensor result = Tensor::empty({1, columns}, x.dtype());
    second_moment(x, result);
    CHECK(distance(result, mean_powers(doubles(x), columns, 2)) <= tolerance<T>);
    first_moment(x, result);
    CHECK(distance(result, mean_powers(doubles(x), columns, 1)) <= tolerance<T>);
  }
}

TEMPLATE_TEST_CASE("the patch second moment is that of the im2col matrix", "[second_moment]", float, double) {
  using T = TestType;
  const auto check = [](const Conv2dGeometry& g) {
    if (g.out_height() < 1 || g.out_width() < 1) return;
    INFO(g.height << "x" << g.width << ", " << g.in_channels << " channels, kernel " << g.kernel_h << "x" << g.kernel_w
                  << ", stride " << g.stride << ", padding " << g.padding << ", dilation " << g.dilation << ", groups "
                  << g.groups);
    const Tensor x = random_tensor<T>(g.input_shape(), 1);
    Tensor result = Tensor::empty({g.groups, g.patch_size()}, x.dtype()), again = result.clone();
    patch_second_moment(g, x, result);
    CHECK(distance(result, from_patches<T>(g, x, 2)) <= tolerance<T>);
    patch_second_moment(g, x, again);
    CHECK(distance(result, again) == 0);
    patch_first_moment(g, x, result);
    CHECK(distance(result, from_patches<T>(g, x, 1)) <= tolerance<T>);
  };
  for (const std::int64_t stride : {1, 2, 3})
    for (const std::int64_t padding : {0, 1, 2, 4})
      for (const std::int64_t dilation : {1, 2})
        for (const std::int64_t groups : {1, 2})
          for (const std::int64_t kernel : {1, 3, 5})
            check({5, 9, 7, 6, 4, kernel, kernel, stride, padding, dilation, groups});
  check({1, 1, 1, 1, 1, 1, 1});
  check({3, 2, 2, 3, 1, 1, 1, 1, 5});  // most patches see padding alone
  check({2, 3, 3, 1, 1, 3, 3, 1, 8, 4});
  check({2, 6, 9, 3, 5, 1, 4});
  check({64, 32, 32, 16, 16, 3, 3, 1, 1});  // several threads
  check({30, 16, 16, 32, 64, 3, 3, 2, 1});
}

TEST_CASE("a constant image shows how much of each kernel position is padding", "[second_moment]") {
  const Conv2dGeometry g{2, 4, 4, 1, 1, 3, 3, 1, 1};
  Tensor x = Tensor::from<double>({2, 4, 4, 1}, std::vector<double>(32, 3.0));
  Tensor result = Tensor::empty({1, 9}, DType::float64);
  patch_second_moment(g, x, result);
  // Of 16 positions, a corner of the kernel lies inside of the image 9 times, an edge 12 times, the centre always.
  std::vector<double> expected;
  for (const int inside : {9, 12, 9, 12, 16, 12, 9, 12, 9}) expected.push_back(9.0 * inside / 16);
  CHECK(distance(result, expected) < 1e-14);
}
