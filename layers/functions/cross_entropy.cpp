#include "layers/functions/cross_entropy.h"

#include "kernels/softmax_cross_entropy.h"

namespace actgrad {

Loss cross_entropy(Pass& pass, const Variable& logits, const Tensor& labels, double factor) {
  Tensor gradient;
  if (pass.records(logits))
    gradient = Tensor::empty(logits.value().shape(), logits.value().dtype(), logits.value().device());
  const kernels::LossResult result = kernels::softmax_cross_entropy(logits.value(), labels, factor, gradient);
  return {result.loss, result.correct, {logits, gradient}};
}

}  // namespace actgrad
