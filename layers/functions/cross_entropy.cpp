#include "layers/functions/cross_entropy.h"

#include "kernels/softmax_cross_entropy.h"

namespace actgrad {

Loss cross_entropy(Pass& pass, const Variable& logits, const Tensor& labels, double factor) {
  Tensor gradient;
  if (pass.records(logits))
    gradient = Tensor::empty(logits.value().shape(), logits.value().dtype(), logits.value().device());
  Tensor sums = Tensor::empty({2}, DType::float64, logits.value().device());
  Tensor used = labels;
  if (pass.samples_labels) {
    used = Tensor::empty(labels.shape(), DType::int32, labels.device());
    kernels::sample_labels(logits.value(), {pass.seed, pass.dropout_first, pass.dropout_offset}, used);
  }
  kernels::softmax_cross_entropy(logits.value(), used, factor, gradient, sums);
  return {sums, logits.value().dim(0), {logits, gradient}};
}

}  // namespace actgrad
