#include "layers/functions/lstm.h"

#include "kernels/lstm.h"

namespace actgrad {

LstmState lstm(Pass& pass, const Variable& gates, const Variable& c_previous, double forget_bias) {
  const Tensor& before = c_previous.value();
  Tensor c = Tensor::empty(before.shape(), before.dtype(), before.device());
  Tensor h = Tensor::empty(before.shape(), before.dtype(), before.device());
  kernels::lstm_forward(gates.value(), before, forget_bias, c, h);
  if (!pass.records(gates, c_previous)) return {Variable(c), Variable(h)};
  const auto results = pass.tape->record(
      std::vector<Tensor>{c, h}, [gates = gates.value(), before, forget_bias, dgates = gates.gradient(),
                                  dbefore = c_previous.gradient()](const std::vector<Tensor>& d) {
        kernels::lstm_backward(gates, before, forget_bias, d[0], d[1],
                               dgates.wanted() ? dgates.target() : GradientTarget(),
                               dbefore.wanted() ? dbefore.target() : GradientTarget());
      });
  return {results[0], results[1]};
}

}  // namespace actgrad
