#include "kernels/linear_algebra.h"

// GCC 12 takes the AVX-512 intrinsics' deliberately undefined registers for a mistake (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <atomic>
#include <cmath>

#include "kernels/dispatch.h"
#include "kernels/parallel.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;

std::int64_t batch_of(const Tensor& x) {
  ACTGRAD_CHECK(x.rank() == 2 || x.rank() == 3, x.shape().to_string());
  return x.rank() == 3 ? x.dim(0) : 1;
}

// n of a square matrix, or a batch of them.
std::int64_t size_of_square(const Tensor& a) {
  ACTGRAD_CHECK(batch_of(a) >= 0 && a.dim(-1) == a.dim(-2), a.shape().to_string() + " is not square");
  return a.dim(-1);
}

// Numbers `index` of a batch's matrices.
template <class T>
T* matrix_of(const Tensor& x, std::int64_t index) {
  return x.data<T>() + index * x.dim(-1) * x.dim(-2);
}

// a as it stands in memory: symmetric, so by columns and by rows are the same.
template <class T>
Eigen::Map<const Matrix<T>> symmetric(const Tensor& a, std::int64_t index) {
  return {matrix_of<T>(a, index), a.dim(-1), a.dim(-1)};
}

// Looks at the triangle that is used.
template <class M>
bool is_finite(const M& a) {
  for (Eigen::Index j = 0; j < a.cols(); ++j)
    for (Eigen::Index i = j; i < a.rows(); ++i)
      if (!std::isfinite(a(i, j))) return false;
  return true;
}

template <class T>
bool invert(const Eigen::Map<const Matrix<T>>& a, T damping, T* result) {
  Matrix<T> damped = a;
  damped.diagonal().array() += damping;
  if (!is_finite(damped)) return false;
  const Eigen::LLT<Matrix<T>> factor(damped);
  if (factor.info() != Eigen::Success) return false;
  // (L Lᵀ)⁻¹ = L⁻ᵀ L⁻¹, exactly symmetric.
  Matrix<T> inverse_l = Matrix<T>::Identity(a.rows(), a.cols());
  factor.matrixL().solveInPlace(inverse_l);
  Matrix<T> inverse = Matrix<T>::Zero(a.rows(), a.cols());
  inverse.template selfadjointView<Eigen::Lower>().rankUpdate(inverse_l.transpose());
  Eigen::Map<Matrix<T>> to(result, a.rows(), a.cols());
  to = inverse.template selfadjointView<Eigen::Lower>();
  return to.allFinite();
}

template <class T>
bool decompose(const Eigen::Map<const Matrix<T>>& a, T* vectors, T* values) {
  if (!is_finite(a)) return false;
  const Eigen::SelfAdjointEigenSolver<Matrix<T>> solver(a);
  if (solver.info() != Eigen::Success) return false;
  // Row-major, as all of ours.
  Eigen::Map<Matrix<T>>(vectors, a.rows(), a.cols()) = solver.eigenvectors().transpose();
  Eigen::Map<Eigen::Vector<T, Eigen::Dynamic>>(values, a.rows()) = solver.eigenvalues();
  return true;
}

// One matrix of a list of problems.
struct Task {
  std::size_t problem;
  std::int64_t index, n;
};

// Calls solve(task) for the matrices of all problems, on several threads, each of which takes every so many-th: the
// largest come first, so that the shares take about as long. Says which problems were solved, all their matrices.
template <class Problem, class Solve>
std::vector<bool> solve_all(std::span<const Problem> problems, const Solve& solve) {
  std::vector<Task> tasks;
  for (std::size_t p = 0; p < problems.size(); ++p)
    for (std::int64_t i = 0; i < batch_of(problems[p].a); ++i) tasks.push_back({p, i, size_of_square(problems[p].a)});
  std::stable_sort(tasks.begin(), tasks.end(), [](const Task& a, const Task& b) { return a.n > b.n; });
  std::vector<char> solved(tasks.size());  // no two threads write one byte
  const int shares = threads_for(static_cast<std::int64_t>(tasks.size()), 1);
  parallel_for(shares, 1, [&](Range range, int) {
    for (std::size_t i = static_cast<std::size_t>(range.begin); i < tasks.size(); i += static_cast<std::size_t>(shares))
      solved[i] = solve(tasks[i]);
  });
  std::vector<bool> result(problems.size(), true);
  for (std::size_t i = 0; i < tasks.size(); ++i)
    if (!solved[i]) result[tasks[i].problem] = false;
  return result;
}

void check_like(const Tensor& a, const Tensor& result, const Shape& shape) {
  ACTGRAD_CHECK(result.shape() == shape && result.dtype() == a.dtype() && result.device() == a.device(),
                result.shape().to_string() + " for " + a.shape().to_string());
}

std::vector<Tensor> scratch_like(std::size_t count, const auto& tensor_of) {
  std::vector<Tensor> result;
  for (std::size_t p = 0; p < count; ++p)
    result.push_back(Tensor::empty(tensor_of(p).shape(), tensor_of(p).dtype(), tensor_of(p).device()));
  return result;
}

void copy(const Tensor& from, Tensor to) {
  to.copy_from(from);
}

}  // namespace

void matrix_product(Transpose transpose_a, Transpose transpose_b, const Tensor& a, const Tensor& b, Tensor& c,
                    Write mode) {
  const bool ta = transpose_a == Transpose::yes, tb = transpose_b == Transpose::yes;
  const std::int64_t m = a.dim(ta ? -1 : -2), k = a.dim(ta ? -2 : -1), n = b.dim(tb ? -2 : -1);
  ACTGRAD_CHECK(
      a.rank() == c.rank() && b.rank() == c.rank() && batch_of(a) == batch_of(c) && batch_of(b) == batch_of(c),
      "matrix product of " + a.shape().to_string() + " and " + b.shape().to_string());
  ACTGRAD_CHECK(b.dim(tb ? -1 : -2) == k && c.dim(-2) == m && c.dim(-1) == n, c.shape().to_string());
  const WorkScope work("matrix_product", {.bytes = bytes_of(a, b) + bytes_of(c, mode),
                                          .flops = 2.0 * static_cast<double>(batch_of(a) * m * n * k),
                                          .product = true});
  ACTGRAD_DISPATCH(matrix_product, a, transpose_a, transpose_b, a, b, c, mode);
  visit_floating(a.dtype(), [&]<class T>() {
    for (std::int64_t i = 0; i < batch_of(a); ++i)
      gemm(transpose_a, transpose_b, m, n, k, matrix_of<T>(a, i), a.dim(-1), matrix_of<T>(b, i), b.dim(-1),
           matrix_of<T>(c, i), n, mode);
  });
}

std::vector<bool> symmetric_inverses(std::span<const InverseProblem> problems) {
  if (problems.empty()) return {};
  for (const InverseProblem& p : problems) check_like(p.a, p.inverse, p.a.shape());
  ACTGRAD_DISPATCH(symmetric_inverses, problems[0].a, problems);
  const std::vector<Tensor> inverses = scratch_like(problems.size(), [&](std::size_t p) { return problems[p].a; });
  const std::vector<bool> solved = solve_all(problems, [&](const Task& task) {
    const InverseProblem& problem = problems[task.problem];
    return visit_floating(problem.a.dtype(), [&]<class T>() {
      return invert(symmetric<T>(problem.a, task.index), static_cast<T>(problem.damping),
                    matrix_of<T>(inverses[task.problem], task.index));
    });
  });
  for (std::size_t p = 0; p < problems.size(); ++p)
    if (solved[p]) copy(inverses[p], problems[p].inverse);
  return solved;
}

std::vector<bool> symmetric_eigensystems(std::span<const EigenProblem> problems) {
  if (problems.empty()) return {};
  for (const EigenProblem& p : problems) {
    check_like(p.a, p.vectors, p.a.shape());
    check_like(p.a, p.values, p.a.rank() == 2 ? Shape{p.a.dim(0)} : Shape{p.a.dim(0), p.a.dim(1)});
  }
  ACTGRAD_DISPATCH(symmetric_eigensystems, problems[0].a, problems);
  const std::vector<Tensor> vectors = scratch_like(problems.size(), [&](std::size_t p) { return problems[p].vectors; });
  const std::vector<Tensor> values = scratch_like(problems.size(), [&](std::size_t p) { return problems[p].values; });
  const std::vector<bool> solved = solve_all(problems, [&](const Task& task) {
    const EigenProblem& problem = problems[task.problem];
    return visit_floating(problem.a.dtype(), [&]<class T>() {
      return decompose(symmetric<T>(problem.a, task.index), matrix_of<T>(vectors[task.problem], task.index),
                       values[task.problem].template data<T>() + task.index * task.n);
    });
  });
  for (std::size_t p = 0; p < problems.size(); ++p) {
    if (!solved[p]) continue;
    copy(vectors[p], problems[p].vectors);
    copy(values[p], problems[p].values);
  }
  return solved;
}

bool symmetric_inverse(const Tensor& a, double damping, Tensor& inverse) {
  const InverseProblem problem{a, damping, inverse};
  return symmetric_inverses({&problem, 1})[0];
}

bool symmetric_eigen(const Tensor& a, Tensor& vectors, Tensor& values) {
  const EigenProblem problem{a, vectors, values};
  return symmetric_eigensystems({&problem, 1})[0];
}

}  // namespace actgrad::kernels
