// How far a layer's activations spread within a batch (AdaAct paper, Figures 1, 4 and 8, Appendix D).
#pragma once

#include "core/tensor.h"

namespace actgrad::kernels {

// x (N, …): each element of a sample is a unit, whose variance is the mean over the samples of (x − mean)². result: (3)
// float64, where x is: the mean, the smallest and the largest of all units' variances. Sums are taken in double.
void unit_variance(const Tensor& x, Tensor& result);

}  // namespace actgrad::kernels
