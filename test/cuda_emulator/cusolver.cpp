// The part of cuSOLVER that actgrad uses, by Eigen. The declarations are the toolkit's.
#include <cusolverDn.h>

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "test/cuda_emulator/emulator.h"
#include "test/cuda_emulator/stream.h"

struct cusolverDnContext {
  cudaStream_t stream = nullptr;
};
struct cusolverDnParams {};

namespace actgrad::cuda_emulator {
namespace {

template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;  // by columns, as in LAPACK
template <class T>
using Mapped = Eigen::Map<Matrix<T>>;

constexpr std::size_t workspace_bytes = 64;  // of each kind

template <class T>
std::size_t bytes(std::int64_t numbers) {
  return static_cast<std::size_t>(numbers) * sizeof(T);
}

// A matrix of device memory, read like a kernel would.
template <class T>
Matrix<T> read(void* data, std::int64_t rows, std::int64_t columns) {
  library_reads(data, bytes<T>(rows * columns));
  return Mapped<T>(static_cast<T*>(data), rows, columns);
}

template <class T>
void write(void* data, const Matrix<T>& values) {
  library_writes(data, bytes<T>(values.size()));
  Mapped<T>(static_cast<T*>(data), values.rows(), values.cols()) = values;
}

void write_info(int* info, int value) {
  library_writes(info, sizeof *info);
  *info = value;
}

// Writes to the buffers that it was given, when its turn comes.
struct Workspace {
  void *on_device, *on_host;
  std::size_t device_bytes, host_bytes;

  bool large_enough() const { return device_bytes >= workspace_bytes && host_bytes >= workspace_bytes; }
  void use() const {
    library_writes(on_device, device_bytes);
    std::memset(on_device, 1, device_bytes);
    std::memset(on_host, 1, host_bytes);
  }
};

// The lower triangle becomes the Cholesky factor. info: the first column that is not positive definite, from 1 on.
template <class T>
void factor(std::int64_t n, void* a, int* info) {
  Matrix<T> x = read<T>(a, n, n);
  int failed = 0;
  for (std::int64_t j = 0; j < n && failed == 0; ++j) {
    const T square = x(j, j) - x.row(j).head(j).squaredNorm();
    if (!(square > 0)) {
      failed = static_cast<int>(j + 1);
      break;
    }
    x(j, j) = std::sqrt(square);
    x.col(j).tail(n - j - 1) -= x.bottomLeftCorner(n - j - 1, j) * x.row(j).head(j).transpose();
    x.col(j).tail(n - j - 1) /= x(j, j);
  }
  write(a, x);
  write_info(info, failed);
}

template <class T>
void solve(std::int64_t n, std::int64_t count, const void* a, void* b, int* info) {
  const Matrix<T> lower = read<T>(const_cast<void*>(a), n, n);
  Matrix<T> x = read<T>(b, n, count);
  lower.template triangularView<Eigen::Lower>().solveInPlace(x);
  lower.template triangularView<Eigen::Lower>().transpose().solveInPlace(x);
  write(b, x);
  write_info(info, 0);
}

template <class T>
void decompose(std::int64_t n, void* a, void* values, int* info) {
  const Eigen::SelfAdjointEigenSolver<Matrix<T>> solver(read<T>(a, n, n));
  write<T>(a, solver.eigenvectors());
  write<T>(values, solver.eigenvalues());
  write_info(info, solver.info() == Eigen::Success ? 0 : 1);
}

// Does, or records, operation(T()), T the type that `type` names.
template <class F>
cusolverStatus_t enqueue_for(cusolverDnHandle_t handle, cudaDataType type, const F& operation) {
  const cudaError_t error = enqueue(handle->stream, [=] {
    if (type == CUDA_R_64F)
      operation(double());
    else
      operation(float());
    return cudaSuccess;
  });
  return error == cudaSuccess ? CUSOLVER_STATUS_SUCCESS : CUSOLVER_STATUS_EXECUTION_FAILED;
}

bool known(cublasFillMode_t triangle, std::int64_t n, std::int64_t ld, cudaDataType type, cudaDataType other) {
  return triangle == CUBLAS_FILL_MODE_LOWER && n == ld && type == other && (type == CUDA_R_32F || type == CUDA_R_64F);
}

}  // namespace
}  // namespace actgrad::cuda_emulator

using namespace actgrad::cuda_emulator;

extern "C" {

cusolverStatus_t cusolverDnCreate(cusolverDnHandle_t* handle) {
  *handle = new cusolverDnContext;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnDestroy(cusolverDnHandle_t handle) {
  delete handle;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnSetStream(cusolverDnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnCreateParams(cusolverDnParams_t* parameters) {
  *parameters = new cusolverDnParams;
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnXpotrf_bufferSize(cusolverDnHandle_t, cusolverDnParams_t, cublasFillMode_t, std::int64_t,
                                             cudaDataType, const void*, std::int64_t, cudaDataType,
                                             std::size_t* on_device, std::size_t* on_host) {
  *on_device = *on_host = workspace_bytes;
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnXpotrf(cusolverDnHandle_t handle, cusolverDnParams_t, cublasFillMode_t triangle,
                                  std::int64_t n, cudaDataType type, void* a, std::int64_t lda, cudaDataType compute,
                                  void* on_device, std::size_t device_bytes, void* on_host, std::size_t host_bytes,
                                  int* info) {
  if (!known(triangle, n, lda, type, compute)) return CUSOLVER_STATUS_NOT_SUPPORTED;
  const Workspace workspace{on_device, on_host, device_bytes, host_bytes};
  if (!workspace.large_enough()) return CUSOLVER_STATUS_INVALID_VALUE;
  return enqueue_for(handle, type, [=]<class T>(T) {
    workspace.use();
    factor<T>(n, a, info);
  });
}

cusolverStatus_t cusolverDnXpotrs(cusolverDnHandle_t handle, cusolverDnParams_t, cublasFillMode_t triangle,
                                  std::int64_t n, std::int64_t count, cudaDataType type, const void* a,
                                  std::int64_t lda, cudaDataType type_b, void* b, std::int64_t ldb, int* info) {
  if (!known(triangle, n, lda, type, type_b) || ldb != n) return CUSOLVER_STATUS_NOT_SUPPORTED;
  return enqueue_for(handle, type, [=]<class T>(T) { solve<T>(n, count, a, b, info); });
}

cusolverStatus_t cusolverDnXsyevBatched_bufferSize(cusolverDnHandle_t, cusolverDnParams_t, cusolverEigMode_t,
                                                   cublasFillMode_t, std::int64_t, cudaDataType, const void*,
                                                   std::int64_t, cudaDataType, const void*, cudaDataType,
                                                   std::size_t* on_device, std::size_t* on_host, std::int64_t) {
  *on_device = *on_host = workspace_bytes;
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnXsyevBatched(cusolverDnHandle_t handle, cusolverDnParams_t, cusolverEigMode_t mode,
                                        cublasFillMode_t triangle, std::int64_t n, cudaDataType type, void* a,
                                        std::int64_t lda, cudaDataType type_w, void* values, cudaDataType compute,
                                        void* on_device, std::size_t device_bytes, void* on_host,
                                        std::size_t host_bytes, int* info, std::int64_t count) {
  if (!known(triangle, n, lda, type, compute) || type_w != type || mode != CUSOLVER_EIG_MODE_VECTOR)
    return CUSOLVER_STATUS_NOT_SUPPORTED;
  const Workspace workspace{on_device, on_host, device_bytes, host_bytes};
  if (!workspace.large_enough()) return CUSOLVER_STATUS_INVALID_VALUE;
  return enqueue_for(handle, type, [=]<class T>(T) {
    workspace.use();
    for (std::int64_t i = 0; i < count; ++i)
      decompose<T>(n, static_cast<T*>(a) + i * n * n, static_cast<T*>(values) + i * n, info + i);
  });
}

}  // extern "C"
