#include "kernels/row_means.h"

#include <limits>

#include "test/kernels/patches.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

template <class T>
constexpr double tolerance = std::max<double>(16 * std::numeric_limits<T>::epsilon(), 1e-14);

// The means of `count` rows at a time, one behind the other.
std::vector<double> means(const std::vector<Row>& rows, std::size_t count) {
  std::vector<double> result;
  for (std::size_t first = 0; first < rows.size(); first += count) {
    Row sum(rows[first].size());
    for (std::size_t r = first; r < first + count; ++r)
      for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += rows[r][j];
    for (const double value : sum) result.push_back(value / static_cast<double>(count));
  }
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("means of rows and of positions follow the definition", "[row_means]", float, double) {
  using T = TestType;
  for (const Shape& shape : {Shape{1, 1, 1}, {3, 1, 7}, {1, 5, 2}, {128, 9, 33}, {40, 700, 16}}) {
    CAPTURE(shape.to_string());
    const Tensor x = random_tensor<T>(shape, 1);
    const std::vector<Row> rows = rows_of(x, 0, x.dim(-1), false);
    Tensor mean = Tensor::empty({x.dim(-1)}, x.dtype());
    mean_of_rows(x, mean);
    CHECK(distance(mean, means(rows, rows.size())) <= tolerance<T>);

    for (const bool ones : {false, true}) {
      Tensor of_samples = Tensor::empty({x.dim(0), x.dim(-1) + (ones ? 1 : 0)}, x.dtype());
      position_means(x, ones, of_samples);
      const std::vector<Row> with_ones = rows_of(x, 0, x.dim(-1), ones);
      CHECK(distance(of_samples, means(with_ones, static_cast<std::size_t>(x.dim(1)))) <= tolerance<T>);
    }
  }
}

TEST_CASE("the position means of a matrix are the matrix", "[row_means]") {
  const Tensor x = random_tensor<float>({6, 5}, 1);
  Tensor same = Tensor::empty({6, 5}, DType::float32);
  position_means(x, false, same);
  CHECK(distance(same, x) == 0);
}

TEMPLATE_TEST_CASE("patch means are the means of the im2col matrix, sample by sample", "[row_means]", float, double) {
  using T = TestType;
  const auto check = [](const Conv2dGeometry& g, bool ones) {
    if (g.out_height() < 1 || g.out_width() < 1) return;
    INFO(text(g) << ", ones " << ones);
    const Tensor x = random_tensor<T>(g.input_shape(), 1);
    const std::size_t n = static_cast<std::size_t>(g.patch_size()) + (ones ? 1 : 0);
    const std::size_t groups = static_cast<std::size_t>(g.groups);
    std::vector<double> expected(static_cast<std::size_t>(g.batch) * groups * n);
    for (std::size_t group = 0; group < groups; ++group) {
      const std::vector<Row> rows = patches(g, x, static_cast<std::int64_t>(group), ones);
      const std::vector<double> part = means(rows, rows.size() / static_cast<std::size_t>(g.batch));
      for (std::size_t i = 0; i < part.size(); ++i) expected[(i / n * groups + group) * n + i % n] = part[i];
    }
    Tensor result = random_tensor<T>({g.batch, static_cast<std::int64_t>(groups * n)}, 2);
    patch_means(g, x, ones, result);
    CHECK(distance(result, expected) <= tolerance<T>);
  };
  for (const bool ones : {false, true}) {
    for (const std::int64_t stride : {1, 2, 3})
      for (const std::int64_t padding : {0, 1, 2})
        for (const std::int64_t dilation : {1, 2})
          for (const std::int64_t groups : {1, 2})
            for (const std::int64_t kernel : {1, 3, 5})
              check({3, 9, 7, 6, 4, kernel, kernel, stride, padding, dilation, groups}, ones);
    check({1, 1, 1, 1, 1, 1, 1}, ones);
    check({3, 2, 2, 3, 1, 1, 1, 1, 5}, ones);
    check({2, 6, 9, 3, 5, 1, 4}, ones);
    check({65, 16, 16, 16, 16, 3, 3, 1, 1}, ones);  // several threads
  }
}
