#include "layers/functions/relu.h"

#include "kernels/elementwise.h"

namespace actgrad {

Variable relu(Pass& pass, const Variable& x) {
  Tensor y = Tensor::empty(x.value().shape(), x.value().dtype(), x.value().device());
  kernels::relu_forward(x.value(), y);
  if (!pass.records(x)) return Variable(y);
  return pass.tape->record(y, [dx = x.gradient(), y](const Tensor& dy) {
    auto [target, mode] = dx.target_in_place_of(dy);
    kernels::relu_backward(dy, y, target, mode);
  });
}

}  // namespace actgrad
