// Matrix products by cuBLAS, in the current stream.
#pragma once

#include <cstdint>

#include "kernels/gemm.h"
#include "kernels/precision.h"

namespace actgrad::cuda {

// What gemm.h's gemm computes, on device memory: C (m, n) = op(A) · op(B), row-major, written over or added to C.
// float's factors are rounded as `precision` says.
template <class T>
void gemm(kernels::Transpose transpose_a, kernels::Transpose transpose_b, std::int64_t m, std::int64_t n,
          std::int64_t k, const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T* c, std::int64_t ldc,
          Write mode, kernels::MatrixPrecision precision = kernels::matrix_precision());

}  // namespace actgrad::cuda
