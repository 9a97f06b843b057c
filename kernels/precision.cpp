#include "kernels/precision.h"

#include <atomic>

namespace actgrad::kernels {
namespace {

std::atomic<MatrixPrecision> current{MatrixPrecision::full};

}  // namespace

MatrixPrecision matrix_precision() {
  return current;
}
void set_matrix_precision(MatrixPrecision precision) {
  current = precision;
}

}  // namespace actgrad::kernels
