#include "optim/curvature_factor.h"

#include "kernels/elementwise.h"

namespace actgrad {
namespace {

Tensor multiple_of_identity(std::int64_t groups, std::int64_t n, double diagonal, DType dtype) {
  Tensor result = Tensor::zeros({groups, n, n}, dtype);
  Tensor entry = Tensor::empty({1}, dtype);
  kernels::fill(entry, diagonal);
  for (std::int64_t i = 0; i < groups * n; ++i) result.view(i * n + i % n, {1}).copy_from(entry);
  return result;
}

}  // namespace

Option factor_dtype_option() {
  return Option{"factor-dtype", std::string("float32"), "of the layers' factors and their inversion"}.one_of(
      {"float32", "float64"});
}

DType factor_dtype(const Options& options, DType model_dtype) {
  return options.text("factor-dtype") == "float64" ? DType::float64 : model_dtype;
}

CurvatureFactor::CurvatureFactor(std::int64_t groups, std::int64_t n, double diagonal, DType model_dtype, DType dtype,
                                 Device device)
    : start_(diagonal),
      batch_(Tensor::empty({groups, n, n}, model_dtype, device)),
      average_(multiple_of_identity(groups, n, diagonal, dtype).to(device)) {}

void CurvatureFactor::commit(double keep, double scale) {
  if (batch_.empty()) return;
  Tensor mean = batch_.mean();
  if (mean.dtype() != average_.dtype()) {
    mean = Tensor::empty(mean.shape(), average_.dtype(), mean.device());
    kernels::cast(batch_.mean(), mean);
  }
  kernels::mix(average_, keep, mean, (1 - keep) * scale);
  batch_.clear();
}

std::vector<double> CurvatureFactor::mean_diagonal() const {
  const std::int64_t groups = average_.dim(0), n = average_.dim(1);
  Tensor exact = Tensor::empty(average_.shape(), DType::float64, average_.device());
  kernels::cast(average_, exact);
  const std::vector<double> elements = exact.to_vector<double>();
  std::vector<double> means(static_cast<std::size_t>(groups), 0.0);
  for (std::int64_t i = 0; i < groups * n; ++i)
    means[static_cast<std::size_t>(i / n)] +=
        elements[static_cast<std::size_t>(i * n + i % n)] / static_cast<double>(n);
  return means;
}

void CurvatureFactor::reset_if_not_finite(const std::string& name) {
  if (kernels::all_finite(average_)) return;
  warn_once(name + ": the covariance is not finite; it starts again");
  average_.copy_from(
      multiple_of_identity(average_.dim(0), average_.dim(1), start_, average_.dtype()).to(average_.device()));
}

void solve(const std::vector<DampedInverse>& problems) {
  constexpr int attempts = 6;
  std::vector<kernels::InverseProblem> open;
  std::vector<const DampedInverse*> wanted;
  for (const DampedInverse& problem : problems) {
    open.push_back(
        {problem.a, problem.damping, Tensor::empty(problem.a.shape(), problem.a.dtype(), problem.a.device())});
    wanted.push_back(&problem);
  }
  for (int attempt = 0; attempt < attempts && !open.empty(); ++attempt) {
    const std::vector<bool> solved = kernels::symmetric_inverses(open);
    std::vector<kernels::InverseProblem> failed;
    std::vector<const DampedInverse*> failed_wanted;
    for (std::size_t i = 0; i < open.size(); ++i) {
      if (solved[i]) {
        Tensor result = wanted[i]->inverse;
        kernels::cast(open[i].inverse, result);
        if (wanted[i]->scale != 1) kernels::scale(result, wanted[i]->scale);
      } else {
        open[i].damping *= 10;
        failed.push_back(open[i]);
        failed_wanted.push_back(wanted[i]);
      }
    }
    if (!failed.empty())
      warn_once("a curvature matrix is not positive definite: tried again with ten times the damping");
    open = std::move(failed);
    wanted = std::move(failed_wanted);
  }
  if (!open.empty()) warn_once("a curvature matrix cannot be inverted: its last inverse stays in use");
}

std::vector<bool> solve(const std::vector<Eigensystem>& problems) {
  std::vector<kernels::EigenProblem> list;
  for (const Eigensystem& problem : problems) {
    const Shape& shape = problem.a.shape();
    list.push_back({problem.a, Tensor::empty(shape, problem.a.dtype(), problem.a.device()),
                    Tensor::empty({shape[0], shape[1]}, problem.a.dtype(), problem.a.device())});
  }
  const std::vector<bool> solved = kernels::symmetric_eigensystems(list);
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!solved[i]) {
      warn_once("the eigenvectors of a curvature matrix cannot be computed: the last ones stay in use");
      continue;
    }
    Tensor vectors = problems[i].vectors, values = problems[i].values;
    kernels::cast(list[i].vectors, vectors);
    Tensor exact = Tensor::empty(values.shape(), DType::float64, values.device());
    kernels::cast(list[i].values, exact);
    std::vector<double> numbers = exact.to_vector<double>();
    for (double& value : numbers) value = value > problems[i].smallest ? value : 0;
    kernels::cast(Tensor::from(values.shape(), numbers).to(values.device()), values);
  }
  return solved;
}

}  // namespace actgrad
