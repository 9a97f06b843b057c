#include "layers/batch_norm2d.h"

#include "layers/functions/batch_norm.h"

namespace actgrad {

BatchNorm2d::BatchNorm2d(std::int64_t channels, double eps, double momentum) : options_{eps, momentum, false} {
  scale_.shape = shift_.shape = running_mean_.shape = running_variance_.shape = {channels};
  scale_.init = Init::ones;
  shift_.init = Init::zeros;
  running_variance_.initial = 1;
  add("weight", scale_);  // PyTorch's names
  add("bias", shift_);
  add("running_mean", running_mean_);
  add("running_var", running_variance_);
}

Variable BatchNorm2d::normalise(Pass& pass, const Variable& x, const Variable& residual, bool relu) {
  kernels::BatchNormOptions options = options_;
  options.relu = relu;
  return batch_norm(pass, x, residual, scale_.variable, shift_.variable, running_mean_.value, running_variance_.value,
                    options);
}

}  // namespace actgrad
