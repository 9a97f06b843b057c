#include "layers/functions/dropout.h"

#include "kernels/elementwise.h"

namespace actgrad {

Variable dropout(Pass& pass, const Variable& x, double keep) {
  if (!pass.training || keep >= 1) return x;
  const kernels::RandomStream stream{pass.seed, pass.dropout_first, pass.dropout_offset++};
  Tensor y = Tensor::empty(x.value().shape(), x.value().dtype(), x.value().device());
  kernels::dropout_forward(x.value(), keep, stream, y);
  if (!pass.records(x)) return Variable(y);
  return pass.tape->record(y, [keep, stream, dx = x.gradient()](const Tensor& dy) {
    auto [target, mode] = dx.target();
    kernels::dropout_backward(dy, keep, stream, target, mode);  // the same mask, drawn again
  });
}

}  // namespace actgrad
