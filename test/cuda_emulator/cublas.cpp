// The part of cuBLAS that actgrad uses, by Eigen. The declarations are the toolkit's.
#include <cublas_v2.h>

#include <Eigen/Core>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "test/cuda_emulator/emulator.h"
#include "test/cuda_emulator/stream.h"
#include "test/cuda_emulator/tensor_cores.h"

struct cublasContext {
  cudaStream_t stream = nullptr;
};

namespace actgrad::cuda_emulator {
namespace {

template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;  // by columns, as in BLAS
template <class M>
using Mapped = Eigen::Map<M, Eigen::Unaligned, Eigen::OuterStride<>>;

// The factors as tensor cores take them.
void round_mantissa(Matrix<float>& x, int bits) {
  for (float& value : x.reshaped()) value = with_mantissa(value, bits);
}

// A factor as it lies in device memory, read like a kernel would.
template <class T>
Matrix<T> factor(const void* data, cublasOperation_t operation, std::int64_t rows, std::int64_t columns,
                 std::int64_t ld, cublasComputeType_t compute) {
  if (operation != CUBLAS_OP_N) std::swap(rows, columns);
  const T* const first = static_cast<const T*>(data);
  for (std::int64_t c = 0; c < columns; ++c) library_reads(first + c * ld, static_cast<std::size_t>(rows) * sizeof(T));
  Matrix<T> x = Mapped<const Matrix<T>>(first, rows, columns, Eigen::OuterStride<>(ld));
  if constexpr (std::is_same_v<T, float>) {
    if (compute == CUBLAS_COMPUTE_32F_FAST_TF32) round_mantissa(x, 10);
    if (compute == CUBLAS_COMPUTE_32F_FAST_16BF) round_mantissa(x, 7);
  }
  if (operation == CUBLAS_OP_N) return x;
  return x.transpose();
}

template <class T>
struct Gemm {
  cublasOperation_t transpose_a, transpose_b;
  std::int64_t m, n, k;
  T alpha;
  const void* a;
  std::int64_t lda;
  const void* b;
  std::int64_t ldb;
  T beta;
  void* c;
  std::int64_t ldc;
  cublasComputeType_t compute;

  void operator()() const {
    T* const result = static_cast<T*>(c);
    const std::size_t column = static_cast<std::size_t>(m) * sizeof(T);
    Matrix<T> sum =
        alpha * (factor<T>(a, transpose_a, m, k, lda, compute) * factor<T>(b, transpose_b, k, n, ldb, compute));
    Mapped<Matrix<T>> to(result, m, n, Eigen::OuterStride<>(ldc));
    if (beta != T(0)) {
      for (std::int64_t j = 0; j < n; ++j) library_reads(result + j * ldc, column);
      sum += beta * to;
    }
    for (std::int64_t j = 0; j < n; ++j) library_writes(result + j * ldc, column);
    to = sum;
  }
};

}  // namespace
}  // namespace actgrad::cuda_emulator

using namespace actgrad::cuda_emulator;

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  *handle = new cublasContext;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t, void*, std::size_t) {
  return CUBLAS_STATUS_SUCCESS;
}
const char* cublasGetStatusName(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS ? "CUBLAS_STATUS_SUCCESS" : "CUBLAS_STATUS_EXECUTION_FAILED";
}

cublasStatus_t cublasGemmEx_64(cublasHandle_t handle, cublasOperation_t transpose_a, cublasOperation_t transpose_b,
                               std::int64_t m, std::int64_t n, std::int64_t k, const void* alpha, const void* a,
                               cudaDataType type_a, std::int64_t lda, const void* b, cudaDataType type_b,
                               std::int64_t ldb, const void* beta, void* c, cudaDataType type_c, std::int64_t ldc,
                               cublasComputeType_t compute, cublasGemmAlgo_t) {
  if (type_a != type_b || type_a != type_c) return CUBLAS_STATUS_NOT_SUPPORTED;
  const auto multiply = [&]<class T>(T) {
    const Gemm<T> gemm{transpose_a,
                       transpose_b,
                       m,
                       n,
                       k,
                       *static_cast<const T*>(alpha),
                       a,
                       lda,
                       b,
                       ldb,
                       *static_cast<const T*>(beta),
                       c,
                       ldc,
                       compute};
    return enqueue(handle->stream, [gemm] {
      gemm();
      return cudaSuccess;
    });
  };
  const cudaError_t error = type_a == CUDA_R_64F ? multiply(double()) : multiply(float());
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // extern "C"
