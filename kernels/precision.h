// How float32 matrix products and convolutions are computed on devices that offer faster arithmetic than float32's.
// Sums are float32 in any case; so are parameters, statistics, normalisation and loss.
#pragma once

#include <string>

namespace actgrad::kernels {

enum class MatrixPrecision {
  full,  // float32
  tf32,  // factors rounded to 10 bits of mantissa
  bf16,  // factors rounded to 7 bits of mantissa, and results too where cuDNN convolves
};

// "fp32" and "fp64" (nothing is rounded), "tf32", "bf16".
MatrixPrecision parse_matrix_precision(const std::string& text);

// Of the whole program; full unless set. CPUs compute in float32 whatever it says.
MatrixPrecision matrix_precision();
void set_matrix_precision(MatrixPrecision precision);

}  // namespace actgrad::kernels
