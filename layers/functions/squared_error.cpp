#include "layers/functions/squared_error.h"

#include "kernels/elementwise.h"
#include "kernels/norms.h"

namespace actgrad {

Loss squared_error(Pass& pass, const Variable& y, const Tensor& target) {
  const std::int64_t n = y.value().numel();
  Tensor difference = y.value().clone();
  kernels::mix(difference, 1, target, -1);
  Tensor sums = Tensor::zeros({2}, DType::float64, difference.device()), sum = sums.slice(0, 1);
  kernels::squared_norm(difference, sum, Write::overwrite);
  if (!pass.records(y)) return {sums, n, {}};
  kernels::scale(difference, 2 / static_cast<double>(n));
  return {sums, n, {y, difference}};
}

}  // namespace actgrad
