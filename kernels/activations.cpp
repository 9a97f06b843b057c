#include "kernels/activations.h"

#include "kernels/activation_formulas.h"
#include "kernels/dispatch.h"
#include "kernels/flat.h"
#include "kernels/registry.h"

namespace actgrad::kernels {

void activation_forward(Activation kind, const Tensor& x, Tensor& y) {
  check_like(x, y);
  ACTGRAD_DISPATCH(activation_forward, x, kind, x, y);
  visit_floating(x.dtype(), [&]<class T>() {
    const T* const in = x.data<T>();
    T* const out = y.data<T>();
    formulas::visit_activation(kind, [&](auto function) {
      for_each_element(x.numel(), [=](std::int64_t i) { out[i] = function.value(in[i]); });
    });
  });
}

void activation_backward(Activation kind, const Tensor& dy, const Tensor& y, Tensor& dx, Write mode) {
  check_like(dy, y);
  check_like(dy, dx);
  ACTGRAD_DISPATCH(activation_backward, dy, kind, dy, y, dx, mode);
  visit_floating(dy.dtype(), [&]<class T>() {
    const T *const gradient = dy.data<T>(), *const values = y.data<T>();
    T* const to = dx.data<T>();
    formulas::visit_activation(kind, [&](auto function) {
      if (mode == Write::overwrite)
        for_each_element(dy.numel(), [=](std::int64_t i) { to[i] = gradient[i] * function.slope(values[i]); });
      else
        for_each_element(dy.numel(), [=](std::int64_t i) { to[i] += gradient[i] * function.slope(values[i]); });
    });
  });
}

}  // namespace actgrad::kernels
