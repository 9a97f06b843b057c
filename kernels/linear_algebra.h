// Linear algebra on row-major float32 and float64 tensors, one matrix (rows, columns) or a batch (batch, rows,
// columns).
#pragma once

#include <span>
#include <vector>

#include "kernels/gemm.h"

namespace actgrad::kernels {

// C = op(A) · op(B), written over or added to C; for batches matrix by matrix. C must share no memory with A or B.
// Full precision on every device: these are statistics, not activations. May be recorded.
void matrix_product(Transpose transpose_a, Transpose transpose_b, const Tensor& a, const Tensor& b, Tensor& c,
                    Write mode);

// The functions below read numbers back from the device, so they cannot be recorded. Of a symmetric matrix they read
// one triangle. A problem that fails leaves its results as they were: when the matrix is not finite, when it is not
// positive definite (inverse), or when the iteration does not converge (eigenvectors); a batch fails as a whole.
// Results may be the same tensor as `a`.
//
// Give all matrices of a refresh in one list: on the CPU they are solved side by side, one thread each, which is much
// faster than one after another. The answer says for each problem whether it succeeded.

struct InverseProblem {
  Tensor a;  // (n, n) or (batch, n, n), symmetric
  double damping = 0;
  Tensor inverse;  // like a: (a + damping·I)⁻¹, by Cholesky's factorisation
};
[[nodiscard]] std::vector<bool> symmetric_inverses(std::span<const InverseProblem> problems);

struct EigenProblem {
  Tensor a;        // (n, n) or (batch, n, n), symmetric
  Tensor vectors;  // like a: column j is the eigenvector of value j, so a = vectors · diag(values) · vectorsᵀ
  Tensor values;   // (n) or (batch, n), ascending
};
[[nodiscard]] std::vector<bool> symmetric_eigensystems(std::span<const EigenProblem> problems);

// One problem.
[[nodiscard]] bool symmetric_inverse(const Tensor& a, double damping, Tensor& inverse);
[[nodiscard]] bool symmetric_eigen(const Tensor& a, Tensor& vectors, Tensor& values);

}  // namespace actgrad::kernels
