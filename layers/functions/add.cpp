#include "layers/functions/add.h"

#include "kernels/elementwise.h"

namespace actgrad {

Variable add(Pass& pass, const Variable& a, const Variable& b) {
  Tensor y = Tensor::empty(a.value().shape(), a.value().dtype(), a.value().device());
  kernels::add(a.value(), b.value(), y);
  if (!pass.records(a, b)) return Variable(y);
  return pass.tape->record(y, [da = a.gradient(), db = b.gradient()](const Tensor& dy) {
    if (db.wanted()) {
      auto [target, mode] = db.target();
      kernels::copy(dy, target, mode);
    }
    if (da.wanted()) {
      auto [target, mode] = da.target_in_place_of(dy);
      if (target.raw() != dy.raw()) kernels::copy(dy, target, mode);
    }
  });
}

}  // namespace actgrad
