#include "layers/functions/pooling.h"

namespace actgrad {
namespace {

Tensor empty_output(const Tensor& x, const kernels::PoolGeometry& geometry, DType dtype) {
  return Tensor::empty({x.dim(0), geometry.out(x.dim(1)), geometry.out(x.dim(2)), x.dim(3)}, dtype, x.device());
}

}  // namespace

Variable max_pool2d(Pass& pass, const Variable& x, const kernels::PoolGeometry& geometry) {
  const bool records = pass.records(x);
  Tensor y = empty_output(x.value(), geometry, x.value().dtype());
  Tensor argmax = records ? empty_output(x.value(), geometry, DType::uint8) : Tensor();
  kernels::max_pool_forward(x.value(), geometry, y, argmax);
  if (!records) return Variable(y);
  return pass.tape->record(y, [geometry, argmax, dx = x.gradient()](const Tensor& dy) {
    auto [target, mode] = dx.target();
    kernels::max_pool_backward(dy, argmax, geometry, target, mode);
  });
}

Variable avg_pool2d(Pass& pass, const Variable& x, const kernels::PoolGeometry& geometry) {
  Tensor y = empty_output(x.value(), geometry, x.value().dtype());
  kernels::avg_pool_forward(x.value(), geometry, y);
  if (!pass.records(x)) return Variable(y);
  return pass.tape->record(y, [geometry, dx = x.gradient()](const Tensor& dy) {
    auto [target, mode] = dx.target();
    kernels::avg_pool_backward(dy, geometry, target, mode);
  });
}

Variable global_avg_pool(Pass& pass, const Variable& x) {
  Tensor y = Tensor::empty({x.value().dim(0), x.value().dim(3)}, x.value().dtype(), x.value().device());
  kernels::global_avg_pool_forward(x.value(), y);
  if (!pass.records(x)) return Variable(y);
  return pass.tape->record(y, [dx = x.gradient()](const Tensor& dy) {
    auto [target, mode] = dx.target();
    kernels::global_avg_pool_backward(dy, target, mode);
  });
}

}  // namespace actgrad
