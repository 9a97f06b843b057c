#include "layers/functions/feature_rows.h"

#include "kernels/elementwise.h"
#include "kernels/feature_rows.h"
#include "kernels/linear_algebra.h"

namespace actgrad {

using kernels::Transpose;

Variable feature_linear(Pass& pass, const std::vector<FeatureInput>& inputs, const Variable& bias) {
  const Tensor& first = inputs.front().x.value();
  Tensor y = Tensor::empty({bias.value().numel(), first.dim(1)}, first.dtype(), first.device());
  kernels::row_bias_forward(bias.value(), y);
  bool records = pass.records(bias);
  for (const FeatureInput& input : inputs) {
    kernels::matrix_product(Transpose::no, Transpose::no, input.weight.value(), input.x.value(), y, Write::accumulate);
    records |= pass.records(input.weight, input.x);
  }
  if (!records) return Variable(y);
  struct Saved {
    Tensor weight, x;
    Gradient dweight, dx;
  };
  std::vector<Saved> saved;
  for (const auto& [weight, x] : inputs) saved.push_back({weight.value(), x.value(), weight.gradient(), x.gradient()});
  return pass.tape->record(y, [saved = std::move(saved), db = bias.gradient()](const Tensor& dy) {
    if (db.wanted()) {
      auto [target, mode] = db.target();
      kernels::row_bias_backward(dy, target, mode);
    }
    for (const Saved& input : saved) {
      if (input.dweight.wanted()) {  // dW = dy xᵀ
        auto [target, mode] = input.dweight.target();
        kernels::matrix_product(Transpose::no, Transpose::yes, dy, input.x, target, mode);
      }
      if (input.dx.wanted()) {  // dx = Wᵀ dy
        auto [target, mode] = input.dx.target();
        kernels::matrix_product(Transpose::yes, Transpose::no, input.weight, dy, target, mode);
      }
    }
  });
}

Variable row_normalise(Pass& pass, const Variable& x) {
  Tensor y = Tensor::empty(x.value().shape(), x.value().dtype(), x.value().device());
  Tensor scales = Tensor::empty({x.value().dim(0)}, DType::float64, x.value().device());
  kernels::row_normalise_forward(x.value(), y, scales);
  if (!pass.records(x)) return Variable(y);
  return pass.tape->record(y, [dx = x.gradient(), y, scales](const Tensor& dy) {
    auto [target, mode] = dx.target_in_place_of(dy);
    kernels::row_normalise_backward(dy, y, scales, target, mode);
  });
}

Variable row_dot(Pass& pass, const Variable& a, const Variable& b) {
  Tensor y = Tensor::empty({a.value().dim(1)}, a.value().dtype(), a.value().device());
  kernels::row_dot_forward(a.value(), b.value(), y);
  if (!pass.records(a, b)) return Variable(y);
  return pass.tape->record(
      y, [da = a.gradient(), db = b.gradient(), left = a.value(), right = b.value()](const Tensor& dy) {
        if (da.wanted()) {
          auto [target, mode] = da.target();
          kernels::row_dot_backward(dy, right, target, mode);
        }
        if (db.wanted()) {
          auto [target, mode] = db.target();
          kernels::row_dot_backward(dy, left, target, mode);
        }
      });
}

namespace {

// target += or = factor·gradient
void write_scaled(const GradientTarget& target, const Tensor& gradient, double factor) {
  Tensor to = target.tensor;
  if (target.mode == Write::overwrite) to.fill_zero();
  kernels::mix(to, 1, gradient, factor);
}

}  // namespace

Variable scaled(Pass& pass, const Variable& x, double factor) {
  Tensor y = x.value().clone();
  kernels::scale(y, factor);
  if (!pass.records(x)) return Variable(y);
  return pass.tape->record(y, [dx = x.gradient(), factor](const Tensor& dy) { write_scaled(dx.target(), dy, factor); });
}

Variable descend(Pass& pass, const Variable& w, double rate, const Variable& d) {
  Tensor moved = w.value().clone();
  kernels::mix(moved, 1, d.value().reshape(moved.shape()), -rate);
  if (!pass.records(w, d)) return Variable(moved);
  return pass.tape->record(moved, [dw = w.gradient(), dd = d.gradient(), rate](const Tensor& gradient) {
    if (dd.wanted()) {
      const GradientTarget target = dd.target();
      write_scaled(target, gradient.reshape(target.tensor.shape()), -rate);
    }
    if (dw.wanted()) {
      auto [target, mode] = dw.target_in_place_of(gradient);
      if (target.raw() != gradient.raw()) kernels::copy(gradient, target, mode);
    }
  });
}

}  // namespace actgrad
