#include "layers/functions/linear.h"

#include "kernels/linear.h"

namespace actgrad {

Variable linear(Pass& pass, const Variable& x, const Variable& weight, const Variable& bias) {
  ACTGRAD_CHECK(x.value().rank() == 2 && x.value().dim(1) == weight.value().dim(1),
                "linear: x " + x.value().shape().to_string() + ", weight " + weight.value().shape().to_string());
  Tensor y = Tensor::empty({x.value().dim(0), weight.value().dim(0)}, x.value().dtype(), x.value().device());
  kernels::linear_forward(x.value(), weight.value(), bias.value(), y);
  if (!pass.records(x, weight, bias)) return Variable(y);
  return pass.tape->record(y, [x = x.value(), w = weight.value(), dx = x.gradient(), dw = weight.gradient(),
                               db = bias.gradient()](const Tensor& dy) {
    if (dw.wanted()) {
      auto [target, mode] = dw.target();
      kernels::linear_backward_weight(dy, x, target, mode);
    }
    if (db.wanted()) {
      auto [target, mode] = db.target();
      kernels::bias_backward(dy, target, mode);
    }
    if (dx.wanted()) {
      auto [target, mode] = dx.target();
      kernels::linear_backward_input(dy, w, target, mode);
    }
  });
}

}  // namespace actgrad
