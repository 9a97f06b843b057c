#pragma once

#include "layers/pass.h"

namespace actgrad {

struct Loss {
  double value;          // mean over the rows of −log softmax(logits)[label]
  std::int64_t correct;  // rows whose largest logit is the label's
  Seed seed;  // start of the backward pass: tape.backward({loss.seed}); without a tape, only the value counts
};

// logits (rows, classes), labels (rows) int32. `factor` scales the gradient, not the value: a micro-batch counts by its
// share of the whole batch.
Loss cross_entropy(Pass& pass, const Variable& logits, const Tensor& labels, double factor = 1);

}  // namespace actgrad
