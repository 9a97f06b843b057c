#pragma once

#include "layers/pass.h"

namespace actgrad {

struct Loss {
  Tensor sums;  // (2) float64: Σ over the rows of −log softmax(logits)[label]; rows whose largest logit is the label's
  std::int64_t rows;  // how many
  Seed seed;          // start of the backward pass: tape.backward({loss.seed})

  // Both wait for the device.
  double mean() const { return sums.to_vector<double>()[0] / static_cast<double>(rows); }
  std::int64_t correct() const { return static_cast<std::int64_t>(sums.to_vector<double>()[1]); }
};

// logits (rows, classes), labels (rows) int32. The backward pass is that of the mean over the rows, times `factor`: a
// micro-batch counts by its share of the whole batch.
Loss cross_entropy(Pass& pass, const Variable& logits, const Tensor& labels, double factor = 1);

}  // namespace actgrad
