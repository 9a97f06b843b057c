#include "kernels/linear_algebra.h"

#include <algorithm>
#include <cmath>

#include "kernels/cuda/blas.h"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/solver.h"
#include "kernels/dispatch.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

template <class T>
void matrix_product_of(Transpose transpose_a, Transpose transpose_b, const Tensor& a, const Tensor& b, Tensor& c,
                       Write mode) {
  const bool ta = transpose_a == Transpose::yes;
  const std::int64_t m = c.dim(-2), n = c.dim(-1), k = a.dim(ta ? -2 : -1);
  const std::int64_t batch = c.rank() == 3 ? c.dim(0) : 1;
  for (std::int64_t i = 0; i < batch; ++i)
    cuda::gemm<T>(transpose_a, transpose_b, m, n, k, a.data<T>() + i * m * k, a.dim(-1), b.data<T>() + i * k * n,
                  b.dim(-1), c.data<T>() + i * m * n, n, mode, MatrixPrecision::full);
}

// One matrix of a list of problems.
struct Task {
  std::size_t problem;
  std::int64_t index, n;
};

// Their matrices, those of equal size behind each other.
template <class Problem>
std::vector<Task> tasks_of(std::span<const Problem> problems) {
  std::vector<Task> tasks;
  for (std::size_t p = 0; p < problems.size(); ++p) {
    const Tensor& a = problems[p].a;
    for (std::int64_t i = 0; i < (a.rank() == 3 ? a.dim(0) : 1); ++i) tasks.push_back({p, i, a.dim(-1)});
  }
  std::stable_sort(tasks.begin(), tasks.end(), [](const Task& a, const Task& b) { return a.n > b.n; });
  return tasks;
}

// What the device finds out about each task, in a column of its own; zero is good.
class Findings {
 public:
  explicit Findings(std::size_t tasks)
      : tasks_(tasks),
        found_(Tensor::zeros({3, static_cast<std::int64_t>(tasks)}, DType::int32, cuda::this_device())) {}
  int* input(std::size_t task) const { return at(0, task); }    // has numbers that are not finite
  int* solver(std::size_t task) const { return at(1, task); }   // cuSOLVER's info
  int* results(std::size_t task) const { return at(2, task); }  // have numbers that are not finite

  // Of each problem, whether all its tasks were solved. Waits for the device.
  std::vector<bool> solved(std::size_t problems, const std::vector<Task>& tasks) const {
    const std::vector<std::int32_t> found = found_.to_vector<std::int32_t>();
    std::vector<bool> result(problems, true);
    for (std::size_t i = 0; i < found.size(); ++i)
      if (found[i] != 0) result[tasks[i % tasks_].problem] = false;
    return result;
  }

 private:
  int* at(std::size_t row, std::size_t task) const { return found_.data<std::int32_t>() + row * tasks_ + task; }

  std::size_t tasks_;
  Tensor found_;
};

// flag = whether one of value(i), i < n, is not finite.
template <class Value>
void find_not_finite(std::int64_t n, const Value& value, int* flag) {
  cuda::reduce(
      n, [=] __device__(std::int64_t i) { return std::isfinite(value(i)) ? 0.0 : 1.0; },
      [=] __device__(double count) { *flag = count > 0; });
}

template <class F>
__global__ void for_each_entry_kernel(std::int64_t n, F f) {
  for (std::int64_t at = cuda::first_element(); at < n * n; at += cuda::element_step()) f(at / n, at % n);
}

// f(i, j) for each entry of an (n, n) matrix.
template <class F>
void for_each_entry(std::int64_t n, const F& f) {
  cuda::launch(for_each_entry_kernel<F>, cuda::blocks_for(n * n), cuda::block_size, 0, cuda::stream(), n, f);
}

// to = a + damping·I, or the identity if that is not finite: cuSOLVER is never given such numbers.
template <class T>
void prepare(const Tensor& a, const Task& task, double damping, int* not_finite, T* to) {
  const std::int64_t n = task.n;
  const T* const from = a.data<T>() + task.index * n * n;
  const T added = static_cast<T>(damping);
  const auto value = [=] __device__(std::int64_t i, std::int64_t j) {
    return from[std::min(i, j) * n + std::max(i, j)] + (i == j ? added : T(0));
  };
  find_not_finite(
      n * n, [=] __device__(std::int64_t at) { return value(at / n, at % n); }, not_finite);
  for_each_entry(n, [=] __device__(std::int64_t i, std::int64_t j) {
    to[i * n + j] = *not_finite ? T(i == j ? 1 : 0) : value(i, j);
  });
}

template <class T>
std::vector<bool> inverses_of(std::span<const InverseProblem> problems) {
  const std::vector<Task> tasks = tasks_of(problems);
  const Findings findings(tasks.size());
  std::vector<Tensor> inverses;
  cuda::SolverBuffers buffers;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const InverseProblem& problem = problems[tasks[t].problem];
    const std::int64_t n = tasks[t].n;
    const Tensor factor = Tensor::empty({n, n}, problem.a.dtype(), problem.a.device());
    inverses.push_back(Tensor::empty({n, n}, problem.a.dtype(), problem.a.device()));
    T* const inverse = inverses.back().data<T>();
    prepare<T>(problem.a, tasks[t], problem.damping, findings.input(t), factor.data<T>());
    for_each_entry(n, [=] __device__(std::int64_t i, std::int64_t j) { inverse[i * n + j] = T(i == j ? 1 : 0); });
    cuda::solve_positive_definite<T>(n, factor.data<T>(), n, inverse, findings.solver(t), buffers);
    find_not_finite(
        n * n, [=] __device__(std::int64_t at) { return inverse[at]; }, findings.results(t));
  }
  const std::vector<bool> solved = findings.solved(problems.size(), tasks);
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    if (!solved[tasks[t].problem]) continue;
    const std::int64_t n = tasks[t].n;
    const T* const from = inverses[t].template data<T>();
    T* const to = problems[tasks[t].problem].inverse.template data<T>() + tasks[t].index * n * n;
    for_each_entry(n, [=] __device__(std::int64_t i, std::int64_t j) {
      to[i * n + j] = from[std::min(i, j) * n + std::max(i, j)];
    });
  }
  return solved;
}

template <class T>
std::vector<bool> eigensystems_of(std::span<const EigenProblem> problems) {
  const std::vector<Task> tasks = tasks_of(problems);
  const Findings findings(tasks.size());
  const Device device = problems[0].a.device();
  std::vector<Tensor> vectors, values;  // of each task; a group of equal size lies in one piece
  cuda::SolverBuffers buffers;
  for (std::size_t first = 0, last = 0; first < tasks.size(); first = last) {
    const std::int64_t n = tasks[first].n;
    while (last < tasks.size() && tasks[last].n == n) ++last;
    const std::int64_t count = static_cast<std::int64_t>(last - first);
    const Tensor group = Tensor::empty({count, n, n}, dtype_of<T>::value, device);
    const Tensor group_values = Tensor::empty({count, n}, dtype_of<T>::value, device);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::size_t t = first + static_cast<std::size_t>(i);
      vectors.push_back(group.slice(i, i + 1));
      values.push_back(group_values.slice(i, i + 1));
      prepare<T>(problems[tasks[t].problem].a, tasks[t], 0, findings.input(t), vectors.back().data<T>());
    }
    cuda::decompose_symmetric<T>(count, n, group.data<T>(), group_values.data<T>(), findings.solver(first), buffers);
  }
  const std::vector<bool> solved = findings.solved(problems.size(), tasks);
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    if (!solved[tasks[t].problem]) continue;
    const EigenProblem& problem = problems[tasks[t].problem];
    const std::int64_t n = tasks[t].n;
    const T* const from = vectors[t].template data<T>();  // by columns: eigenvector j in row j
    T* const to = problem.vectors.template data<T>() + tasks[t].index * n * n;
    for_each_entry(n, [=] __device__(std::int64_t i, std::int64_t j) { to[i * n + j] = from[j * n + i]; });
    problem.values.view(tasks[t].index * n, {1, n}).copy_from(values[t]);
  }
  return solved;
}

std::vector<bool> inverses(std::span<const InverseProblem> problems) {
  return visit_floating(problems[0].a.dtype(), [&]<class T>() { return inverses_of<T>(problems); });
}

std::vector<bool> eigensystems(std::span<const EigenProblem> problems) {
  return visit_floating(problems[0].a.dtype(), [&]<class T>() { return eigensystems_of<T>(problems); });
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(matrix_product, matrix_product_of);
ACTGRAD_CUDA_KERNEL(symmetric_inverses, inverses);
ACTGRAD_CUDA_KERNEL(symmetric_eigensystems, eigensystems);

}  // namespace actgrad::kernels
