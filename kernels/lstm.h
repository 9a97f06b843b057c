// The elementwise part of a long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000).
#pragma once

#include "core/tape.h"

namespace actgrad::kernels {

// gates: (4·units, n), the blocks of rows i (input), j (candidate), f (forget), o (output), before their
// nonlinearities. c_previous, c, h: (units, n).
//   c = σ(f + forget_bias)·c_previous + σ(i)·tanh(j);   h = σ(o)·tanh(c)
void lstm_forward(const Tensor& gates, const Tensor& c_previous, double forget_bias, Tensor& c, Tensor& h);

// From the gradients of c and h (undefined: 0) to those of the gates and of c_previous (undefined: not wanted).
void lstm_backward(const Tensor& gates, const Tensor& c_previous, double forget_bias, const Tensor& dc,
                   const Tensor& dh, GradientTarget dgates, GradientTarget dc_previous);

}  // namespace actgrad::kernels
