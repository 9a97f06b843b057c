#include "layers/functions/batch_norm.h"

namespace actgrad {
namespace {

// Where the gradients of the four inputs go. The one that is written first may take the place of dy.
kernels::BatchNormGradients targets(const Tensor& dy, const Gradient& dx, const Gradient& dresidual,
                                    const Gradient& dscale, const Gradient& dshift) {
  const auto target = [](const Gradient& gradient) { return gradient.wanted() ? gradient.target() : GradientTarget{}; };
  const auto in_place = [&](const Gradient& gradient) {
    return gradient.wanted() ? gradient.target_in_place_of(dy) : GradientTarget{};
  };
  const GradientTarget residual = in_place(dresidual);
  const GradientTarget x = dresidual.wanted() ? target(dx) : in_place(dx);
  const GradientTarget scale = target(dscale), shift = target(dshift);
  return {x.tensor, x.mode, residual.tensor, residual.mode, scale.tensor, scale.mode, shift.tensor, shift.mode};
}

}  // namespace

Variable batch_norm(Pass& pass, const Variable& x, const Variable& residual, const Variable& scale,
                    const Variable& shift, Tensor& running_mean, Tensor& running_variance,
                    const kernels::BatchNormOptions& options) {
  const Tensor& input = x.value();
  Tensor y = Tensor::empty(input.shape(), input.dtype(), input.device());
  Tensor mean, inverse_std;
  if (pass.training) {
    mean = Tensor::empty({input.dim(-1)}, input.dtype(), input.device());
    inverse_std = Tensor::empty({input.dim(-1)}, input.dtype(), input.device());
    kernels::BatchNormOptions own = options;
    if (!pass.primary) own.momentum = 0;  // running statistics stay
    kernels::batch_norm_forward_training(input, residual.value(), scale.value(), shift.value(), running_mean,
                                         running_variance, own, y, mean, inverse_std);
  } else {
    kernels::batch_norm_forward_evaluation(input, residual.value(), scale.value(), shift.value(), running_mean,
                                           running_variance, options, y);
  }
  if (!pass.records(x, residual, scale, shift)) return Variable(y);

  const bool has_residual = static_cast<bool>(residual);
  // Without a residual the sign of y is known from x, and y need not be kept for this function.
  const Tensor sign = options.relu && (has_residual || !pass.training) ? y : Tensor();
  return pass.tape->record(
      y, [options, has_residual, training = pass.training, x = input, sign, scale_value = scale.value(),
          shift_value = shift.value(), mean, inverse_std, running_mean, running_variance, dx = x.gradient(),
          dresidual = residual.gradient(), dscale = scale.gradient(), dshift = shift.gradient()](const Tensor& dy) {
        const kernels::BatchNormGradients gradients = targets(dy, dx, dresidual, dscale, dshift);
        if (training)
          kernels::batch_norm_backward(dy, x, sign, has_residual, scale_value, shift_value, mean, inverse_std, options,
                                       gradients);
        else
          kernels::batch_norm_backward_evaluation(dy, x, sign, scale_value, running_mean, running_variance, options,
                                                  gradients);
      });
}

}  // namespace actgrad
