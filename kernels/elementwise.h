// Elementwise functions and reductions. All tensors of one call have the same shape and dtype unless said otherwise.
#pragma once

#include "core/tape.h"
#include "kernels/random_stream.h"

namespace actgrad::kernels {

void relu_forward(const Tensor& x, Tensor& y);                                  // y = max(x, 0)
void relu_backward(const Tensor& dy, const Tensor& y, Tensor& dx, Write mode);  // dx = dy where y > 0, else 0

void add(const Tensor& a, const Tensor& b, Tensor& y);     // y = a + b
void copy(const Tensor& x, Tensor& y, Write mode);         // y = x, or y += x
void scale(Tensor& x, double factor);                      // x *= factor
void mix(Tensor& x, double a, const Tensor& y, double b);  // x = a·x + b·y
void fill(Tensor& x, double value);
// y = x or y += x, of the same shape: float32, float64, bfloat16 in any pairing. To bfloat16: rounded to the nearest,
// of which nothing can be added to.
void cast(const Tensor& x, Tensor& y, Write mode = Write::overwrite);

double sum(const Tensor& x);             // accumulated in double
double sum_of_squares(const Tensor& x);  // accumulated in double
bool all_finite(const Tensor& x);        // no NaN, no infinity

// Dropout (Srivastava et al. 2014, scaled in training): y = x · mask / keep, mask ~ Bernoulli(keep), 0 < keep <= 1.
// Element e is kept when word e % 4 of block e / 4 of the stream (seed, Purpose::dropout, first + offset) is below
// keep · 2³², so that the backward pass draws the same mask again. dx = dy · mask / keep.
void dropout_forward(const Tensor& x, double keep, const RandomStream& stream, Tensor& y);
void dropout_backward(const Tensor& dy, double keep, const RandomStream& stream, Tensor& dx, Write mode);

}  // namespace actgrad::kernels
