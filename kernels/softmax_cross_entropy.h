// Softmax and cross-entropy in one pass: the loss, its gradient and the number of correct predictions.
#pragma once

#include "core/tape.h"
#include "kernels/random_stream.h"

namespace actgrad::kernels {

// logits (rows, classes); labels (rows) int32 in [0, classes). dlogits, if defined, receives
// `factor` · (softmax(logits) − one_hot(label)) / rows, the gradient of factor · the mean loss. result: (2) float64,
// where the logits are: the sum over the rows of −log softmax(logits)[label], and how many rows have their largest
// logit (the first of equals) at the label. A label out of range: InternalError on the CPU; a NaN as its row's loss
// elsewhere.
void softmax_cross_entropy(const Tensor& logits, const Tensor& labels, double factor, Tensor& dlogits, Tensor& result);

// labels (rows) int32: for each row of the logits one class, drawn with its softmax probability: the first at which the
// sum of the probabilities exceeds u, uniform in [0, 1), from block r of the stream (seed, Purpose::labels, …).
void sample_labels(const Tensor& logits, const RandomStream& stream, Tensor& labels);

}  // namespace actgrad::kernels
