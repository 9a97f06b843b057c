// Symmetric matrices that follow the covariances of a layer's inputs or output gradients, and their inverses.
#pragma once

#include <string>
#include <vector>

#include "core/options.h"
#include "kernels/linear_algebra.h"
#include "optim/batch_statistic.h"

namespace actgrad {

// "factor-dtype": of averages, factorisations and inverses.
Option factor_dtype_option();
DType factor_dtype(const Options& options, DType model_dtype);

// A moving average of covariances, (groups, n, n).
class CurvatureFactor {
 public:
  // Starts as `diagonal` times the identity. `dtype`: of the average; batches come in the model's.
  CurvatureFactor(std::int64_t groups, std::int64_t n, double diagonal, DType model_dtype, DType dtype, Device device);

  BatchStatistic& batch() { return batch_; }
  // average = keep·average + (1 − keep)·scale·(the batch's mean), if there was a batch.
  void commit(double keep, double scale = 1);
  Tensor& average() { return average_; }
  std::vector<double> mean_diagonal() const;  // of each group: trace/n. Waits for the device.
  // Back to the start, with one line on stderr, if some number is infinite or none. Waits for the device.
  void reset_if_not_finite(const std::string& name);

 private:
  double start_;
  BatchStatistic batch_;
  Tensor average_;
};

// (a + damping·I)⁻¹ times `scale`, of symmetric matrices a (groups, n, n); inverse: the same shape, maybe another
// dtype.
struct DampedInverse {
  Tensor a;
  double damping = 0;
  Tensor inverse;
  double scale = 1;
};
// A matrix that is not positive definite is tried again with ten times the damping, up to a factor of 10⁵. What fails
// even then leaves its inverse as it was. Both are said once on stderr.
void solve(const std::vector<DampedInverse>& problems);

// Eigenvectors (groups, n, n), as columns, and eigenvalues (groups, n); those up to `smallest` become 0.
struct Eigensystem {
  Tensor a, vectors, values;
  double smallest = 1e-10;
};
// What does not converge leaves its results as they were, which is said once on stderr. Returns which succeeded.
std::vector<bool> solve(const std::vector<Eigensystem>& problems);

}  // namespace actgrad
