#include "layers/functions/cross_entropy.h"

#include "kernels/softmax_cross_entropy.h"

namespace actgrad {

Loss cross_entropy(Pass& pass, const Variable& logits, const Tensor& labels, double factor) {
  Tensor gradient;
  if (pass.records(logits))
    gradient = Tensor::empty(logits.value().shape(), logits.value().dtype(), logits.value().device());
  Tensor sums = Tensor::empty({2}, DType::float64, logits.value().device());
  kernels::softmax_cross_entropy(logits.value(), labels, factor, gradient, sums);
  return {sums, logits.value().dim(0), {logits, gradient}};
}

}  // namespace actgrad
