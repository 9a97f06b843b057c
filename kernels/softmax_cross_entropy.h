// Softmax and cross-entropy in one pass: the loss, its gradient and the number of correct predictions.
#pragma once

#include "core/tape.h"

namespace actgrad::kernels {

struct LossResult {
  double loss;           // mean over the rows of −log softmax(logits)[label]
  std::int64_t correct;  // rows whose largest logit (the first of equals) is the label's
};

// logits (rows, classes); labels (rows) int32 in [0, classes). dlogits, if defined, receives
// `factor` · (softmax(logits) − one_hot(label)) / rows, the gradient of factor · loss. The sum over rows is taken in
// double.
LossResult softmax_cross_entropy(const Tensor& logits, const Tensor& labels, double factor, Tensor& dlogits);

}  // namespace actgrad::kernels
