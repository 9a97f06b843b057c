#include "layers/functions/reshape.h"

#include "kernels/reshape.h"

namespace actgrad {

Variable flatten(Pass& pass, const Variable& x) {
  if (x.value().rank() == 2) return x;
  Tensor y =
      Tensor::empty({x.value().dim(0), x.value().numel() / x.value().dim(0)}, x.value().dtype(), x.value().device());
  kernels::flatten_forward(x.value(), y);
  if (!pass.records(x)) return Variable(y);
  return pass.tape->record(y, [dx = x.gradient()](const Tensor& dy) {
    auto [target, mode] = dx.target();
    kernels::flatten_backward(dy, target, mode);
  });
}

Variable subsample_pad(Pass& pass, const Variable& x, std::int64_t channels) {
  const Tensor& input = x.value();
  const std::int64_t before = (channels - input.dim(3)) / 2;
  Tensor y = Tensor::empty({input.dim(0), (input.dim(1) + 1) / 2, (input.dim(2) + 1) / 2, channels}, input.dtype(),
                           input.device());
  kernels::subsample_pad_forward(input, before, y);
  if (!pass.records(x)) return Variable(y);
  return pass.tape->record(y, [before, dx = x.gradient()](const Tensor& dy) {
    auto [target, mode] = dx.target();
    kernels::subsample_pad_backward(dy, before, target, mode);
  });
}

Variable concat(Pass& pass, const Variable& a, const Variable& b) {
  const Shape& shape = a.value().shape();
  const std::int64_t behind = shape[3];
  Tensor y =
      Tensor::empty({shape[0], shape[1], shape[2], behind + b.value().dim(3)}, a.value().dtype(), a.value().device());
  kernels::concat_channels(a.value(), b.value(), y);
  if (!pass.records(a, b)) return Variable(y);
  return pass.tape->record(y, [behind, da = a.gradient(), db = b.gradient()](const Tensor& dy) {
    if (da.wanted()) {
      auto [target, mode] = da.target();
      kernels::slice_channels(dy, 0, target, mode);
    }
    if (db.wanted()) {
      auto [target, mode] = db.target();
      kernels::slice_channels(dy, behind, target, mode);
    }
  });
}

}  // namespace actgrad
