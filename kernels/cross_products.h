// Sums of outer products, Σ_k a_k b_kᵀ: matrix products Aᵀ B of many short rows, where they lie in memory, with no
// copy.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace actgrad::kernels {

// n rounded up to a multiple of pack.h's lanes.
std::int64_t whole_packs(std::int64_t n, DType dtype);

// Vectors in memory: number k of run r begins at first + r·run_step + k·step.
template <class T>
struct VectorRuns {
  const T* first;
  std::int64_t step, run_step = 0;
};

// sums[i·ld + j] += factor · Σ a[i]·b[j] over `runs` runs of `length` pairs of vectors, for i < m and j < n. On the
// calling thread. upper: tiles that lie below the diagonal as a whole may be left out, since the matrix is symmetric
// (a and b are the same vectors). Fast where n is a multiple of pack.h's lanes.
template <class T>
void add_cross_products(VectorRuns<T> a, std::int64_t m, VectorRuns<T> b, std::int64_t n, std::int64_t runs,
                        std::int64_t length, T factor, T* sums, std::int64_t ld, bool upper = false);

}  // namespace actgrad::kernels
