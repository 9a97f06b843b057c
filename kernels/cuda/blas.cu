#include "kernels/cuda/blas.h"

#include <cublas_v2.h>

#include <string>
#include <type_traits>

#include "kernels/cuda/runtime.h"

namespace actgrad::cuda {
namespace {

void check(cublasStatus_t status, const char* call, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw InternalError(std::string(__FILE__) + ":" + std::to_string(line) + ": " + call + ": " +
                      cublasGetStatusName(status));
}
#define ACTGRAD_CUBLAS_CHECK(call) check((call), #call, __LINE__)

// One handle for the current device, with a workspace of its own: a workspace that cuBLAS allocates by itself could
// change between runs, and with it the algorithm and the order of sums; and it could not be captured.
class Blas {
 public:
  cublasHandle_t handle() {
    if (device_ != current_device()) open();
    ACTGRAD_CUBLAS_CHECK(cublasSetStream(handle_, stream()));  // which takes the workspace away
    ACTGRAD_CUBLAS_CHECK(cublasSetWorkspace(handle_, workspace_.raw(), workspace_.bytes()));
    return handle_;
  }

 private:
  static constexpr std::int64_t workspace_bytes = 32 << 20;  // what NVIDIA recommends for Hopper

  void open() {
    if (handle_) ACTGRAD_CUBLAS_CHECK(cublasDestroy(handle_));
    ACTGRAD_CUBLAS_CHECK(cublasCreate(&handle_));
    device_ = current_device();
    workspace_ = Tensor::empty({workspace_bytes}, DType::uint8, this_device());
  }

  cublasHandle_t handle_ = nullptr;
  int device_ = -1;
  Tensor workspace_;
};

cublasHandle_t blas() {
  static Blas* const instance = new Blas;  // never destroyed: CUDA may be gone at the end of the program
  return instance->handle();
}

template <class T>
cublasComputeType_t compute_type(kernels::MatrixPrecision precision) {
  if constexpr (std::is_same_v<T, double>) return CUBLAS_COMPUTE_64F;
  switch (precision) {
    case kernels::MatrixPrecision::full: return CUBLAS_COMPUTE_32F;
    case kernels::MatrixPrecision::tf32: return CUBLAS_COMPUTE_32F_FAST_TF32;
    case kernels::MatrixPrecision::bf16: return CUBLAS_COMPUTE_32F_FAST_16BF;
  }
  ACTGRAD_CHECK(false, "matrix precision");
}

}  // namespace

template <class T>
void gemm(kernels::Transpose transpose_a, kernels::Transpose transpose_b, std::int64_t m, std::int64_t n,
          std::int64_t k, const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T* c, std::int64_t ldc,
          Write mode, kernels::MatrixPrecision precision) {
  if (m == 0 || n == 0) return;
  // cuBLAS reads matrices by columns, so it sees every one of ours transposed: it is asked for Cᵀ = op(B)ᵀ · op(A)ᵀ.
  const auto operation = [](kernels::Transpose transpose) {
    return transpose == kernels::Transpose::yes ? CUBLAS_OP_T : CUBLAS_OP_N;
  };
  const cudaDataType_t type = std::is_same_v<T, double> ? CUDA_R_64F : CUDA_R_32F;
  count_launch();
  const T one = 1, kept = mode == Write::accumulate ? T(1) : T(0);
  ACTGRAD_CUBLAS_CHECK(cublasGemmEx_64(blas(), operation(transpose_b), operation(transpose_a), n, m, k, &one, b, type,
                                       ldb, a, type, lda, &kept, c, type, ldc, compute_type<T>(precision),
                                       CUBLAS_GEMM_DEFAULT));
}

template void gemm<float>(kernels::Transpose, kernels::Transpose, std::int64_t, std::int64_t, std::int64_t,
                          const float*, std::int64_t, const float*, std::int64_t, float*, std::int64_t, Write,
                          kernels::MatrixPrecision);
template void gemm<double>(kernels::Transpose, kernels::Transpose, std::int64_t, std::int64_t, std::int64_t,
                           const double*, std::int64_t, const double*, std::int64_t, double*, std::int64_t, Write,
                           kernels::MatrixPrecision);

}  // namespace actgrad::cuda
