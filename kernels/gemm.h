// Matrix product on row-major matrices.
#pragma once

#include <cstdint>

#include "core/tape.h"

namespace actgrad::kernels {

enum class Transpose { no, yes };

// C (m, n) = op(A) (m, k) · op(B) (k, n), written over or added to C. lda, ldb, ldc: elements from one row to the next
// of A, B, C as they lie in memory (so A is (k, m) when it is to be transposed). float: oneDNN where built in, else
// Eigen; double: Eigen. Uses kernels::threads() threads.
template <class T>
void gemm(Transpose transpose_a, Transpose transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, const T* a,
          std::int64_t lda, const T* b, std::int64_t ldb, T* c, std::int64_t ldc, Write mode);

}  // namespace actgrad::kernels
