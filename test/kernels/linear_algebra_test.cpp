#include "kernels/linear_algebra.h"

#include <limits>

#include "kernels/covariance.h"
#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

constexpr Transpose no = Transpose::no, yes = Transpose::yes;

// A random covariance matrix (n, n) of `rows` samples: singular if they are fewer than n.
template <class T>
Tensor random_covariance(std::int64_t n, std::int64_t rows, std::uint64_t stream) {
  Tensor a = Tensor::empty({1, n, n}, dtype_of<T>::value);
  covariance(random_tensor<T>({rows, n}, stream), false, a);
  return a.reshape({n, n});
}

template <class T>
Tensor product(Transpose ta, Transpose tb, const Tensor& a, const Tensor& b) {
  Tensor c = Tensor::empty({a.dim(ta == yes ? 1 : 0), b.dim(tb == yes ? 0 : 1)}, a.dtype());
  matrix_product(ta, tb, a, b, c, Write::overwrite);
  return c;
}

// diagonal(values)
template <class T>
Tensor diagonal(const std::vector<T>& values) {
  const std::int64_t n = static_cast<std::int64_t>(values.size());
  Tensor result = Tensor::zeros({n, n}, dtype_of<T>::value);
  for (std::int64_t i = 0; i < n; ++i) result.data<T>()[i * n + i] = values[static_cast<std::size_t>(i)];
  return result;
}

// max |(a + damping·I) · inverse − I|
template <class T>
double residual(const Tensor& a, double damping, const Tensor& inverse) {
  Tensor damped = a.clone();
  for (std::int64_t i = 0; i < a.dim(0); ++i) damped.data<T>()[i * a.dim(0) + i] += static_cast<T>(damping);
  const std::vector<T> ones(static_cast<std::size_t>(a.dim(0)), T(1));
  return distance(product<T>(no, no, damped, inverse), diagonal(ones));
}

template <class T>
void check_eigen(const Tensor& a, const Tensor& vectors, const Tensor& values) {
  const double tolerance = 16 * std::numeric_limits<T>::epsilon() * std::sqrt(static_cast<double>(a.dim(0)));
  const std::vector<T> lambda = values.to_vector<T>();
  CHECK(std::is_sorted(lambda.begin(), lambda.end()));
  const Tensor scaled = product<T>(no, no, vectors, diagonal(lambda));
  CHECK(distance(product<T>(no, yes, scaled, vectors), a) <= tolerance * std::max<double>(1, std::abs(lambda.back())));
  const std::vector<T> ones(lambda.size(), T(1));
  CHECK(distance(product<T>(yes, no, vectors, vectors), diagonal(ones)) <= tolerance);
}

}  // namespace

TEMPLATE_TEST_CASE("matrix products, single and in batches", "[linear_algebra]", float, double) {
  using T = TestType;
  const std::int64_t m = 5, n = 7, k = 4;
  for (const Transpose ta : {no, yes})
    for (const Transpose tb : {no, yes})
      for (const Write mode : {Write::overwrite, Write::accumulate})
        for (const std::int64_t batch : {0, 1, 3}) {  // 0: rank 2
          CAPTURE(ta == yes, tb == yes, mode == Write::accumulate, batch);
          const auto shape = [&](std::int64_t rows, std::int64_t columns) {
            return batch ? Shape{batch, rows, columns} : Shape{rows, columns};
          };
          const Tensor a = random_tensor<T>(ta == yes ? shape(k, m) : shape(m, k), 1);
          const Tensor b = random_tensor<T>(tb == yes ? shape(n, k) : shape(k, n), 2);
          Tensor memory = random_tensor<T>({2 + shape(m, n).numel()}, 3);
          Tensor c = memory.view(1, shape(m, n));  // a view
          std::vector<double> expected =
              mode == Write::accumulate ? doubles(c) : std::vector<double>(doubles(c).size());
          const std::vector<double> va = doubles(a), vb = doubles(b), frame = doubles(memory);
          for (std::int64_t i = 0; i < std::max<std::int64_t>(batch, 1) * m * n; ++i)
            for (std::int64_t q = 0; q < k; ++q) {
              const std::int64_t matrix = i / (m * n), row = i / n % m, column = i % n;
              const std::int64_t at_a = matrix * m * k + (ta == yes ? q * m + row : row * k + q);
              const std::int64_t at_b = matrix * k * n + (tb == yes ? column * k + q : q * n + column);
              expected[static_cast<std::size_t>(i)] +=
                  va[static_cast<std::size_t>(at_a)] * vb[static_cast<std::size_t>(at_b)];
            }
          matrix_product(ta, tb, a, b, c, mode);
          CHECK(distance(c, expected) <= 32 * std::numeric_limits<T>::epsilon());
          CHECK(doubles(memory).front() == frame.front());
          CHECK(doubles(memory).back() == frame.back());
        }
  Tensor a = random_tensor<T>({2, 3}, 1), c = random_tensor<T>({2, 3}, 2);
  REQUIRE_THROWS_AS(matrix_product(no, no, a, a, c, Write::overwrite), InternalError);
}

TEMPLATE_TEST_CASE("inverses solve their equations", "[linear_algebra]", float, double) {
  using T = TestType;
  for (const std::int64_t n : {1, 2, 5, 17, 64, 145})
    for (const double damping : {0.0, 0.1}) {
      CAPTURE(n, damping);
      const Tensor a = random_covariance<T>(n, 4 * n, 1);
      Tensor inverse = Tensor::empty(a.shape(), a.dtype());
      REQUIRE(symmetric_inverse(a, damping, inverse));
      CHECK(residual<T>(a, damping, inverse) <= 500 * std::numeric_limits<T>::epsilon());
    }
  // By hand: (5 1; 1 2) + I = (6 1; 1 3), determinant 17. In place.
  Tensor a = Tensor::from<T>({2, 2}, {5, 1, 1, 2});
  REQUIRE(symmetric_inverse(a, 1, a));
  CHECK(distance(a, {3.0 / 17, -1.0 / 17, -1.0 / 17, 6.0 / 17}) <= 4 * std::numeric_limits<T>::epsilon());
}

TEMPLATE_TEST_CASE("damping makes singular matrices invertible", "[linear_algebra]", float, double) {
  using T = TestType;
  const Tensor a = random_covariance<T>(40, 7, 1);  // rank 7
  Tensor inverse = Tensor::empty(a.shape(), a.dtype());
  REQUIRE(symmetric_inverse(a, 1e-3, inverse));
  CHECK(residual<T>(a, 1e-3, inverse) <= 5e4 * std::numeric_limits<T>::epsilon());
}

TEMPLATE_TEST_CASE("eigenvectors diagonalise", "[linear_algebra]", float, double) {
  using T = TestType;
  for (const std::int64_t n : {1, 2, 5, 17, 64, 145})
    for (const std::int64_t rows : {4 * n, n / 3 + 1}) {
      CAPTURE(n, rows);
      const Tensor a = random_covariance<T>(n, rows, 1);
      Tensor vectors = Tensor::empty(a.shape(), a.dtype()), values = Tensor::empty({n}, a.dtype());
      REQUIRE(symmetric_eigen(a, vectors, values));
      check_eigen<T>(a, vectors, values);
    }
  // By hand: (2 1; 1 2) has 1 for (1, −1) and 3 for (1, 1).
  const Tensor a = Tensor::from<T>({2, 2}, {2, 1, 1, 2});
  Tensor vectors = Tensor::empty({2, 2}, a.dtype()), values = Tensor::empty({2}, a.dtype());
  REQUIRE(symmetric_eigen(a, vectors, values));
  CHECK(distance(values, {1, 3}) <= 4 * std::numeric_limits<T>::epsilon());
  const std::vector<double> v = doubles(vectors);
  CHECK(v[0] * v[2] == Approx(-0.5));  // column 0
  CHECK(v[1] * v[3] == Approx(0.5));   // column 1
}

TEMPLATE_TEST_CASE("eigenvalues of very different size, none at all, and the identity", "[linear_algebra]", float,
                   double) {
  using T = TestType;
  for (const std::vector<T>& lambda : {std::vector<T>{T(1e-12), T(1e-4), 1, T(1e4)}, {0, 0, 0}, {1, 1, 1, 1, 1}}) {
    const Tensor a = diagonal(lambda);
    Tensor vectors = Tensor::empty(a.shape(), a.dtype()), values = Tensor::empty({a.dim(0)}, a.dtype());
    REQUIRE(symmetric_eigen(a, vectors, values));
    check_eigen<T>(a, vectors, values);
  }
}

TEMPLATE_TEST_CASE("what has no inverse or no finite numbers is refused", "[linear_algebra]", float, double) {
  using T = TestType;
  const T nan = std::numeric_limits<T>::quiet_NaN(), infinity = std::numeric_limits<T>::infinity();
  const std::vector<T> kept{1, 2, 3, 4};
  Tensor inverse = Tensor::from<T>({2, 2}, kept), vectors = inverse.clone(), values = Tensor::from<T>({2}, {5, 6});
  for (const std::vector<T>& numbers : {std::vector<T>{1, 2, 2, 1},
                                        {-1, 0, 0, 1},
                                        {0, 0, 0, 0},
                                        {nan, 0, 0, 1},
                                        {1, nan, nan, 1},
                                        {infinity, 0, 0, 1},
                                        {1, -infinity, -infinity, 1}}) {
    const Tensor a = Tensor::from<T>({2, 2}, numbers);
    CHECK_FALSE(symmetric_inverse(a, 0, inverse));
    CHECK(inverse.to_vector<T>() == kept);
    if (std::isfinite(numbers[0]) && std::isfinite(numbers[1])) continue;
    CHECK_FALSE(symmetric_eigen(a, vectors, values));
    CHECK(vectors.to_vector<T>() == kept);
    CHECK(values.to_vector<T>() == std::vector<T>{5, 6});
  }
  for (const double damping : {static_cast<double>(nan), static_cast<double>(infinity)}) {
    CHECK_FALSE(symmetric_inverse(Tensor::from<T>({2, 2}, {1, 0, 0, 1}), damping, inverse));
    CHECK(inverse.to_vector<T>() == kept);
  }
}

TEMPLATE_TEST_CASE("lists of problems: those that fail spare the others", "[linear_algebra]", float, double) {
  using T = TestType;
  std::vector<InverseProblem> inverses;
  std::vector<EigenProblem> eigen;
  for (const std::int64_t n : {3, 40, 1, 12, 25}) {
    Tensor a = Tensor::empty({2, n, n}, dtype_of<T>::value);
    for (int i = 0; i < 2; ++i)
      a.slice(i, i + 1).copy_from(random_covariance<T>(n, 3 * n, static_cast<std::uint64_t>(i + 1)).reshape({1, n, n}));
    inverses.push_back({a, 0.5, random_tensor<T>(a.shape(), 3)});
    eigen.push_back({a, random_tensor<T>(a.shape(), 4), random_tensor<T>({2, n}, 5)});
  }
  // The second matrix of a batch is not finite: all of the batch stays as it was.
  inverses[3].a.template data<T>()[2 * 144 - 1] = std::numeric_limits<T>::quiet_NaN();
  const std::vector<T> inverse_before = inverses[3].inverse.template to_vector<T>();
  const std::vector<T> vectors_before = eigen[3].vectors.template to_vector<T>();
  const std::vector<bool> expected{true, true, true, false, true};
  CHECK(symmetric_inverses(inverses) == expected);
  CHECK(symmetric_eigensystems(eigen) == expected);  // the same matrices
  CHECK(inverses[3].inverse.template to_vector<T>() == inverse_before);
  CHECK(eigen[3].vectors.template to_vector<T>() == vectors_before);
  for (std::size_t p : {0u, 1u, 2u, 4u})
    for (int i = 0; i < 2; ++i) {
      const auto matrix = [&](const Tensor& x) { return x.slice(i, i + 1).reshape({x.dim(1), x.dim(1)}); };
      CHECK(residual<T>(matrix(inverses[p].a), 0.5, matrix(inverses[p].inverse)) <=
            50 * std::numeric_limits<T>::epsilon());
      check_eigen<T>(matrix(eigen[p].a), matrix(eigen[p].vectors),
                     eigen[p].values.slice(i, i + 1).reshape({eigen[p].values.dim(1)}));
    }
  CHECK(symmetric_inverses({}).empty());
}
