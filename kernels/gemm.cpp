#include "kernels/gemm.h"

// GCC 12 takes the AVX-512 intrinsics' deliberately undefined registers for a mistake (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include <Eigen/Core>
#include <string>
#include <type_traits>

#ifdef ACTGRAD_HAVE_ONEDNN
#include <dnnl.h>
#endif

#include "core/error.h"

namespace actgrad::kernels {
namespace {

template <class T>
using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using ConstMatrix = Eigen::Map<const RowMajor<T>, Eigen::Unaligned, Eigen::OuterStride<>>;

template <class T, class A, class B>
void multiply(const A& a, const B& b, T* c, std::int64_t ldc, Write mode) {
  Eigen::Map<RowMajor<T>, Eigen::Unaligned, Eigen::OuterStride<>> result(c, a.rows(), b.cols(),
                                                                         Eigen::OuterStride<>(ldc));
  if (mode == Write::overwrite)
    result.noalias() = a * b;
  else
    result.noalias() += a * b;
}

template <class T>
void gemm_eigen(Transpose transpose_a, Transpose transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T* c, std::int64_t ldc, Write mode) {
  const bool ta = transpose_a == Transpose::yes, tb = transpose_b == Transpose::yes;
  const ConstMatrix<T> stored_a(a, ta ? k : m, ta ? m : k, Eigen::OuterStride<>(lda));
  const ConstMatrix<T> stored_b(b, tb ? n : k, tb ? k : n, Eigen::OuterStride<>(ldb));
  if (ta && tb)
    multiply(stored_a.transpose(), stored_b.transpose(), c, ldc, mode);
  else if (ta)
    multiply(stored_a.transpose(), stored_b, c, ldc, mode);
  else if (tb)
    multiply(stored_a, stored_b.transpose(), c, ldc, mode);
  else
    multiply(stored_a, stored_b, c, ldc, mode);
}

}  // namespace

template <class T>
void gemm(Transpose transpose_a, Transpose transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, const T* a,
          std::int64_t lda, const T* b, std::int64_t ldb, T* c, std::int64_t ldc, Write mode) {
#ifdef ACTGRAD_HAVE_ONEDNN
  if constexpr (std::is_same_v<T, float>) {
    if (m > 0 && n > 0 && k > 0) {
      const auto letter = [](Transpose transpose) { return transpose == Transpose::yes ? 'T' : 'N'; };
      const dnnl_status_t status = dnnl_sgemm(letter(transpose_a), letter(transpose_b), m, n, k, 1.0f, a, lda, b, ldb,
                                              mode == Write::overwrite ? 0.0f : 1.0f, c, ldc);
      ACTGRAD_CHECK(status == dnnl_success, "dnnl_sgemm: status " + std::to_string(status));
      return;
    }
  }
#endif
  gemm_eigen(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, c, ldc, mode);
}

template void gemm<float>(Transpose, Transpose, std::int64_t, std::int64_t, std::int64_t, const float*, std::int64_t,
                          const float*, std::int64_t, float*, std::int64_t, Write);
template void gemm<double>(Transpose, Transpose, std::int64_t, std::int64_t, std::int64_t, const double*, std::int64_t,
                           const double*, std::int64_t, double*, std::int64_t, Write);

}  // namespace actgrad::kernels
