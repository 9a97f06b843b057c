#include "kernels/linear_algebra.h"

#include <limits>

#include "kernels/covariance.h"
#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

constexpr Transpose no = Transpose::no, yes = Transpose::yes;

// `batch` random covariance matrices (batch, n, n).
template <class T>
Tensor random_covariances(std::int64_t batch, std::int64_t n) {
  Tensor result = Tensor::empty({batch, n, n}, dtype_of<T>::value);
  for (std::int64_t i = 0; i < batch; ++i) {
    Tensor matrix = result.slice(i, i + 1);
    covariance(random_tensor<T>({4 * n, n}, static_cast<std::uint64_t>(i + 1)), false, matrix);
  }
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("matrix products agree with the CPU", "", float, double) {
  using T = TestType;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  for (const Transpose ta : {no, yes})
    for (const Transpose tb : {no, yes})
      for (const Write mode : {Write::overwrite, Write::accumulate})
        for (const std::int64_t batch : {0, 3}) {
          CAPTURE(ta == yes, tb == yes, mode == Write::accumulate, batch);
          const auto shape = [&](std::int64_t rows, std::int64_t columns) {
            return batch ? Shape{batch, rows, columns} : Shape{rows, columns};
          };
          check_parity(
              {random_tensor<T>(ta == yes ? shape(9, 13) : shape(13, 9), 1),
               random_tensor<T>(tb == yes ? shape(6, 9) : shape(9, 6), 2), random_tensor<T>(shape(13, 6), 3)},
              sizeof(T) == 4 ? 2e-6 : 1e-14, [&](auto& t) { matrix_product(ta, tb, t[0], t[1], t[2], mode); },
              placement);
        }
}

TEMPLATE_TEST_CASE("inverses agree with the CPU", "", float, double) {
  using T = TestType;
  for (const std::int64_t n : {1, 2, 17, 40}) {
    if (watched() && n > 20) continue;
    for (const std::int64_t batch : {1, 3}) {
      CAPTURE(n, batch);
      check_parity({random_covariances<T>(batch, n), random_tensor<T>({batch, n, n}, 9)}, sizeof(T) == 4 ? 5e-6 : 1e-13,
                   [](auto& t) { return symmetric_inverse(t[0], 0.1, t[1]); });
    }
  }
  check_parity({random_covariances<T>(1, 5).reshape({5, 5})}, sizeof(T) == 4 ? 5e-6 : 1e-13,
               [](auto& t) { return symmetric_inverse(t[0], 1, t[0]); });  // in place
}

// Eigenvectors may have either sign, so what they must agree in is vectors · diag(f(values)) · vectorsᵀ, f = square.
TEMPLATE_TEST_CASE("eigensystems agree with the CPU", "", float, double) {
  using T = TestType;
  for (const std::int64_t n : {1, 2, 17, 40}) {
    if (watched() && n > 20) continue;
    for (const std::int64_t batch : {1, 3}) {
      CAPTURE(n, batch);
      const std::optional<Device> device = cuda_device();
      if (!device) return;
      const Tensor a = random_covariances<T>(batch, n);
      Tensor vectors = Tensor::empty(a.shape(), a.dtype(), *device);
      const auto decompose = [&](auto& t) {
        Tensor of_a = Tensor::empty(t[0].shape(), t[0].dtype(), t[0].device());
        const bool solved = symmetric_eigen(t[0], of_a, t[1]);
        if (!of_a.device().is_cpu()) vectors.copy_from(of_a);
        return solved;
      };
      const double tolerance = sizeof(T) == 4 ? 5e-6 : 1e-13;
      check_parity({a, random_tensor<T>({batch, n}, 9)}, tolerance, decompose);

      // Column j of a·vectors is value j times column j of the vectors.
      Tensor values = Tensor::empty({batch, n}, a.dtype()), on_host = Tensor::empty(a.shape(), a.dtype());
      REQUIRE(symmetric_eigen(a, on_host, values));
      Tensor product = Tensor::empty(a.shape(), a.dtype());
      matrix_product(no, no, a, vectors.to(Device{}), product, Write::overwrite);
      std::vector<double> expected = doubles(vectors);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const std::size_t size = static_cast<std::size_t>(n);
        expected[i] *= doubles(values)[i / (size * size) * size + i % size];
      }
      CHECK(distance(product, expected) <= 4 * tolerance);
    }
  }
}

TEMPLATE_TEST_CASE("a device refuses what the CPU refuses", "", float, double) {
  using T = TestType;
  const T nan = std::numeric_limits<T>::quiet_NaN();
  for (const std::vector<T>& numbers : {std::vector<T>{1, 2, 2, 1}, {0, 0, 0, 0}, {nan, 0, 0, 1}, {1, nan, nan, 1}}) {
    const Tensor a = Tensor::from<T>({2, 2}, numbers);
    check_parity({a, random_tensor<T>({2, 2}, 2)}, 0, [](auto& t) { return symmetric_inverse(t[0], 0, t[1]); });
    if (std::isfinite(numbers[0]) && std::isfinite(numbers[1])) continue;
    check_parity({a, random_tensor<T>({2, 2}, 2), random_tensor<T>({2}, 3)}, 0,
                 [](auto& t) { return symmetric_eigen(t[0], t[1], t[2]); });
  }
  check_parity({Tensor::from<T>({1, 1}, {2}), random_tensor<T>({1, 1}, 2)}, 0,
               [&](auto& t) { return symmetric_inverse(t[0], std::numeric_limits<double>::infinity(), t[1]); });
}

TEMPLATE_TEST_CASE("lists of problems of different size agree with the CPU", "", float, double) {
  using T = TestType;
  std::vector<Tensor> tensors;
  for (const std::int64_t n : {3, 6, 3, 5}) {
    tensors.push_back(random_covariances<T>(2, n));
    tensors.push_back(random_tensor<T>({2, n, n}, 9));
  }
  tensors[4].template data<T>()[0] = std::numeric_limits<T>::infinity();
  check_parity(tensors, sizeof(T) == 4 ? 1e-5 : 1e-13, [](auto& t) {
    std::vector<InverseProblem> problems;
    for (std::size_t i = 0; i < t.size(); i += 2) problems.push_back({t[i], 0.1, t[i + 1]});
    const std::vector<bool> solved = symmetric_inverses(problems);
    CHECK(solved == std::vector<bool>{true, true, false, true});
    return static_cast<double>(solved.size());
  });
  check_parity(tensors, sizeof(T) == 4 ? 1e-5 : 1e-13, [](auto& t) {
    std::vector<EigenProblem> problems;
    std::vector<Tensor> values;
    for (std::size_t i = 0; i < t.size(); i += 2) {
      values.push_back(Tensor::zeros({2, t[i].dim(1)}, t[i].dtype(), t[i].device()));
      problems.push_back({t[i], Tensor::empty(t[i].shape(), t[i].dtype(), t[i].device()), values.back()});
    }
    CHECK(symmetric_eigensystems(problems) == std::vector<bool>{true, true, false, true});
    double weighted = 0;
    for (const Tensor& of_problem : values) {
      const std::vector<double> numbers = doubles(of_problem);
      for (std::size_t i = 0; i < numbers.size(); ++i) weighted += static_cast<double>(i + 1) * numbers[i];
    }
    return weighted;
  });
}
