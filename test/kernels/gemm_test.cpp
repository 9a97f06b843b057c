#include "kernels/gemm.h"

#include <limits>

#include "kernels/parallel.h"
#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

struct Size {
  std::int64_t m, n, k;
};

// The stored matrix of op(A) (rows, columns), with `gap` unused elements at the end of each row.
template <class T>
Tensor stored(Transpose transpose, std::int64_t rows, std::int64_t columns, std::int64_t gap, std::uint64_t stream) {
  if (transpose == Transpose::yes) std::swap(rows, columns);
  return random_tensor<T>({rows, columns + gap}, stream);
}

double at(const std::vector<double>& values, std::int64_t stride, Transpose transpose, std::int64_t row,
          std::int64_t column) {
  return values[static_cast<std::size_t>(transpose == Transpose::yes ? column * stride + row : row * stride + column)];
}

// C (m, n) by the definition; elements of c in the gap keep their values.
std::vector<double> product(const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, const Tensor& c, Size s,
                            Write mode) {
  const std::vector<double> va = doubles(a), vb = doubles(b);
  std::vector<double> vc = doubles(c);
  for (std::int64_t i = 0; i < s.m; ++i)
    for (std::int64_t j = 0; j < s.n; ++j) {
      double& element = vc[static_cast<std::size_t>(i * c.dim(1) + j)];
      if (mode == Write::overwrite) element = 0;
      for (std::int64_t l = 0; l < s.k; ++l) element += at(va, a.dim(1), ta, i, l) * at(vb, b.dim(1), tb, l, j);
    }
  return vc;
}

template <class T>
void check_product(Transpose ta, Transpose tb, Size s, Write mode, std::int64_t gap) {
  INFO(s.m << " x " << s.n << " x " << s.k << ", transposed " << (ta == Transpose::yes) << (tb == Transpose::yes));
  const Tensor a = stored<T>(ta, s.m, s.k, gap, 1), b = stored<T>(tb, s.k, s.n, gap, 2);
  Tensor c = random_tensor<T>({s.m, s.n + gap}, 3);
  const std::vector<double> expected = product(a, ta, b, tb, c, s, mode);
  gemm(ta, tb, s.m, s.n, s.k, a.data<T>(), a.dim(1), b.data<T>(), b.dim(1), c.data<T>(), c.dim(1), mode);
  // Errors of sums of k products of numbers below 1.
  CHECK(distance(c, expected) <= 4 * std::numeric_limits<T>::epsilon() * static_cast<double>(s.k + 1));
}

}  // namespace

TEMPLATE_TEST_CASE("gemm is the matrix product, in every combination of transposes", "[gemm]", float, double) {
  const Transpose ta = GENERATE(Transpose::no, Transpose::yes), tb = GENERATE(Transpose::no, Transpose::yes);
  const Write mode = GENERATE(Write::overwrite, Write::accumulate);
  const std::int64_t gap = GENERATE(0, 5);
  for (const Size s : {Size{1, 1, 1}, {1, 7, 3}, {5, 1, 9}, {3, 4, 1}, {17, 33, 65}, {64, 16, 144}, {130, 10, 84}})
    check_product<TestType>(ta, tb, s, mode, gap);
}

TEMPLATE_TEST_CASE("gemm with nothing to multiply", "[gemm]", float, double) {
  Tensor c = random_tensor<TestType>({3, 4}, 1);
  const std::vector<double> before = doubles(c);
  const TestType unused[1] = {};
  const auto multiply = [&](std::int64_t m, std::int64_t n, std::int64_t k, Write mode) {
    gemm(Transpose::no, Transpose::no, m, n, k, unused, 1, unused, 4, c.data<TestType>(), 4, mode);
  };
  multiply(0, 4, 5, Write::overwrite);
  multiply(3, 0, 5, Write::overwrite);
  multiply(3, 4, 0, Write::accumulate);
  CHECK(distance(c, before) == 0);
  multiply(3, 4, 0, Write::overwrite);
  CHECK(distance(c, std::vector<double>(12, 0.0)) == 0);
}

TEMPLATE_TEST_CASE("gemm overwrites whatever was there, NaN included", "[gemm]", float, double) {
  const Tensor a = random_tensor<TestType>({20, 30}, 1), b = random_tensor<TestType>({30, 40}, 2);
  Tensor c = random_tensor<TestType>({20, 40}, 3);
  c.data<TestType>()[123] = std::numeric_limits<TestType>::quiet_NaN();
  gemm(Transpose::no, Transpose::no, 20, 40, 30, a.data<TestType>(), 30, b.data<TestType>(), 40, c.data<TestType>(), 40,
       Write::overwrite);
  CHECK(std::isfinite(c.data<TestType>()[123]));
}

TEMPLATE_TEST_CASE("gemm gives the same bits every time", "[gemm]", float, double) {
  const Tensor a = random_tensor<TestType>({3000, 120}, 1), b = random_tensor<TestType>({3000, 50}, 2);
  const auto multiply = [&] {
    Tensor c = Tensor::empty({120, 50}, dtype_of<TestType>::value);
    gemm(Transpose::yes, Transpose::no, 120, 50, 3000, a.data<TestType>(), 120, b.data<TestType>(), 50,
         c.data<TestType>(), 50, Write::overwrite);
    return c.to_vector<TestType>();
  };
  const auto first = multiply();
  for (int repeat = 0; repeat < 5; ++repeat) CHECK(multiply() == first);
}

TEST_CASE("the number of threads can be set", "[parallel]") {
  const int before = threads();
  REQUIRE_THROWS_AS(set_threads(0), UserError);
  set_threads(1);
  CHECK(threads() == 1);
  CHECK(threads_for(1000, 1) == 1);
#ifdef _OPENMP
  set_threads(3);
  CHECK(threads() == 3);
  CHECK(threads_for(1000, 1) == 3);
  CHECK(threads_for(1000, 400) == 2);
  CHECK(threads_for(1000, 5000) == 1);
#endif
  std::vector<int> visits(1000, 0);
  parallel_for(1000, 1, [&](Range range, int) {
    for (std::int64_t i = range.begin; i < range.end; ++i) ++visits[static_cast<std::size_t>(i)];
  });
  CHECK(visits == std::vector<int>(1000, 1));
  set_threads(before);
}
