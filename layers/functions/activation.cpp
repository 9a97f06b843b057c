#include "layers/functions/activation.h"

namespace actgrad {

Variable activate(Pass& pass, const Variable& x, kernels::Activation kind) {
  Tensor y = Tensor::empty(x.value().shape(), x.value().dtype(), x.value().device());
  kernels::activation_forward(kind, x.value(), y);
  if (!pass.records(x)) return Variable(y);
  return pass.tape->record(y, [kind, dx = x.gradient(), y](const Tensor& dy) {
    auto [target, mode] = dx.target_in_place_of(dy);
    kernels::activation_backward(kind, dy, y, target, mode);
  });
}

}  // namespace actgrad
