// Softmax and cross-entropy in one pass: the loss, its gradient and the number of correct predictions.
#pragma once

#include "core/tape.h"

namespace actgrad::kernels {

// logits (rows, classes); labels (rows) int32 in [0, classes). dlogits, if defined, receives
// `factor` · (softmax(logits) − one_hot(label)) / rows, the gradient of factor · the mean loss. result: (2) float64,
// where the logits are: the sum over the rows of −log softmax(logits)[label], and how many rows have their largest
// logit (the first of equals) at the label. A label out of range: InternalError on the CPU; a NaN as its row's loss
// elsewhere.
void softmax_cross_entropy(const Tensor& logits, const Tensor& labels, double factor, Tensor& dlogits, Tensor& result);

}  // namespace actgrad::kernels
