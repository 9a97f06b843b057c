#include "layers/functions/standardise.h"

#include "kernels/batch_norm.h"
#include "kernels/elementwise.h"

namespace actgrad {
namespace {

Tensor filled(std::int64_t n, const Tensor& like, double value) {
  Tensor tensor = Tensor::empty({n}, like.dtype(), like.device());
  kernels::fill(tensor, value);
  return tensor;
}

}  // namespace

// Batch normalisation of a matrix whose channels are all elements of a sample.
Variable standardise_over_batch(Pass& pass, const Variable& x, double eps) {
  const Tensor& input = x.value();
  const Shape matrix{input.dim(0), input.numel() / input.dim(0)};
  const kernels::BatchNormOptions options{.eps = eps, .momentum = 0};
  const Tensor one = filled(matrix[1], input, 1), zero = filled(matrix[1], input, 0);
  Tensor running_mean = zero.clone(), running_variance = one.clone();
  Tensor mean = zero.clone(), inverse_std = one.clone();
  Tensor y = Tensor::empty(matrix, input.dtype(), input.device());
  kernels::batch_norm_forward_training(input.reshape(matrix), {}, one, zero, running_mean, running_variance, options, y,
                                       mean, inverse_std);
  y = y.reshape(input.shape());
  if (!pass.records(x)) return Variable(y);
  return pass.tape->record(y, [=, dx = x.gradient()](const Tensor& dy) {
    auto [target, mode] = dx.target_in_place_of(dy);
    kernels::BatchNormGradients gradients;
    gradients.dx = target.reshape(matrix);
    gradients.dx_mode = mode;
    kernels::batch_norm_backward(dy.reshape(matrix), input.reshape(matrix), {}, false, one, zero, mean, inverse_std,
                                 options, gradients);
  });
}

}  // namespace actgrad
