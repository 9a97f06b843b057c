// Matrices (features, n): each row holds one feature of n coordinates. A small network that is applied to every
// coordinate by itself then works on long rows, whatever its width.
#pragma once

#include "core/tape.h"

namespace actgrad::kernels {

void row_bias_forward(const Tensor& bias, Tensor& y);                 // every element of row r = bias[r]
void row_bias_backward(const Tensor& dy, Tensor& dbias, Write mode);  // db[r] = Σ row r

// y = x · ν[row], ν = 1/√(Σ x² + 1e-16) over the row: rows of length 1, and rows of zeros stay zeros. scales: (rows)
// float64, receives ν. Sums in double, in an order that depends on the length and the number of threads.
void row_normalise_forward(const Tensor& x, Tensor& y, Tensor& scales);
// dx = ν · (dy − y · Σ dy·y)
void row_normalise_backward(const Tensor& dy, const Tensor& y, const Tensor& scales, Tensor& dx, Write mode);

// y[i] = Σ_r a[r, i] · b[r, i].   y: (n)
void row_dot_forward(const Tensor& a, const Tensor& b, Tensor& y);
void row_dot_backward(const Tensor& dy, const Tensor& b, Tensor& da, Write mode);  // da[r, i] = dy[i] · b[r, i]

}  // namespace actgrad::kernels
