#include "kernels/natural_gradient.h"

#include <Eigen/Dense>

#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-12;

}  // namespace

TEMPLATE_TEST_CASE("a gradient is divided by a damped Kronecker product of eigenvalues", "", float, double) {
  const std::int64_t groups = 2, m = 3, n = 5;
  Tensor x = random_tensor<TestType>({groups, m, n}, 1);
  const Tensor left = random_tensor<TestType>({groups, m}, 2, 0, 2),
               right = random_tensor<TestType>({groups, n}, 3, 0, 2);
  std::vector<double> expected = doubles(x);
  const std::vector<double> l = doubles(left), r = doubles(right);
  for (std::int64_t i = 0; i < groups * m * n; ++i)
    expected[static_cast<std::size_t>(i)] /=
        l[static_cast<std::size_t>(i / n)] * r[static_cast<std::size_t>(i / (m * n) * n + i % n)] + 0.25;
  divide_by_kronecker(x, left, right, 0.25);
  CHECK(distance(x, expected) < tolerance<TestType>);
}

TEMPLATE_TEST_CASE("the KL clip bounds lr² · Σ direction·gradient", "", float, double) {
  for (const std::int64_t n : {1, 1000, 100001}) {
    CAPTURE(n);
    const Tensor gradient = random_tensor<TestType>({n}, 1);
    const auto clipped = [&](Tensor direction, double lr, double limit) {
      kl_clip(direction, gradient, lr, limit);
      return direction;
    };
    const double squares = dot(gradient, gradient), limit = 0.01 * squares * 0.25;
    const Tensor bounded = clipped(gradient.clone(), 0.5, limit);
    CHECK(0.25 * dot(bounded, gradient) * dot(bounded, gradient) / squares == Approx(limit).epsilon(1e-4));
    CHECK(distance(clipped(gradient.clone(), 0.04, limit), gradient) == 0);  // below the limit
    Tensor against = gradient.clone();
    for (std::int64_t i = 0; i < n; ++i) against.data<TestType>()[i] *= -1;
    CHECK(distance(clipped(against.clone(), 0.5, limit), against) == 0);  // a negative sum clips nothing
    const Tensor nothing = Tensor::zeros({n}, gradient.dtype());
    CHECK(distance(clipped(nothing.clone(), 0.5, limit), nothing) == 0);
  }
}

TEMPLATE_TEST_CASE("directions under factors of rank one solve their linear systems", "", float, double) {
  const RankOne form = GENERATE(RankOne::joint, RankOne::separate);
  const double damping = 0.3;
  for (const auto [groups, m, n] : {std::array<std::int64_t, 3>{1, 1, 1}, {1, 4, 7}, {3, 2, 5}}) {
    const Tensor gradient = random_tensor<TestType>({groups, m, n}, 1);
    const Tensor b = random_tensor<TestType>({groups, m}, 2), a = random_tensor<TestType>({groups, n}, 3);
    Tensor direction = Tensor::zeros({groups, m, n}, gradient.dtype());
    rank_one_direction(gradient, b, a, damping, form, direction);

    using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const std::vector<double> r = doubles(direction), g = doubles(gradient), bs = doubles(b), as = doubles(a);
    for (std::int64_t group = 0; group < groups; ++group) {
      const Eigen::Map<const Matrix> R(r.data() + group * m * n, m, n), G(g.data() + group * m * n, m, n);
      const Eigen::Map<const Eigen::VectorXd> u(bs.data() + group * m, m), v(as.data() + group * n, n);
      const Matrix of_b = u * u.transpose(), of_a = v * v.transpose();
      const Matrix back =
          form == RankOne::joint
              ? Matrix(damping * R + of_b * R * of_a)
              : Matrix((damping * Matrix::Identity(m, m) + of_b) * R * (damping * Matrix::Identity(n, n) + of_a));
      CHECK((back - G).cwiseAbs().maxCoeff() < 10 * tolerance<TestType>);
    }
  }
}
