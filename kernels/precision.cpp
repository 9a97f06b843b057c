#include "kernels/precision.h"

#include <atomic>

#include "core/error.h"

namespace actgrad::kernels {
namespace {

std::atomic<MatrixPrecision> current{MatrixPrecision::full};

}  // namespace

MatrixPrecision parse_matrix_precision(const std::string& text) {
  if (text == "tf32") return MatrixPrecision::tf32;
  if (text == "bf16") return MatrixPrecision::bf16;
  if (text == "fp32" || text == "fp64") return MatrixPrecision::full;
  throw UserError("unknown precision '" + text + "' (known: fp32, fp64, tf32, bf16)");
}

MatrixPrecision matrix_precision() {
  return current;
}
void set_matrix_precision(MatrixPrecision precision) {
  current = precision;
}

}  // namespace actgrad::kernels
