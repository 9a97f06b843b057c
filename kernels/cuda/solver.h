// Factorisations by cuSOLVER, in the current stream. Matrices are symmetric, so by rows and by columns are the same; of
// each, the row-major upper triangle is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace actgrad::cuda {

// What cuSOLVER works in. To be kept until the device has done what was asked for.
class SolverBuffers {
 public:
  void* on_device(std::size_t bytes);
  void* on_host(std::size_t bytes);

 private:
  std::vector<Tensor> device_;
  std::vector<std::vector<unsigned char>> host_;
};

// X (count, n), by rows: each row x becomes the solution of a y = x. a (n, n) is overwritten by its Cholesky factor.
// info (on the device): not 0 if a is not positive definite.
template <class T>
void solve_positive_definite(std::int64_t n, T* a, std::int64_t count, T* x, int* info, SolverBuffers& buffers);

// a (count, n, n): row j of each matrix becomes its eigenvector j; values (count, n), ascending; info (count), on the
// device: not 0 where the iteration did not converge.
template <class T>
void decompose_symmetric(std::int64_t count, std::int64_t n, T* a, T* values, int* info, SolverBuffers& buffers);

}  // namespace actgrad::cuda
