#include "kernels/activations.h"

#include "kernels/activation_formulas.h"
#include "kernels/cuda/elementwise.cuh"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

using cuda::In;
using cuda::InOut;
using cuda::Out;

template <class T, class Function>
void forward(const Tensor& x, Tensor& y) {
  cuda::for_each_element(
      x.numel(), [] __device__(const T& in, T& out) { out = Function::value(in); }, In<T>{x.data<T>()},
      Out<T>{y.data<T>()});
}

template <class T, class Function>
void backward(const Tensor& dy, const Tensor& y, Tensor& dx, Write mode) {
  const In<T> gradient{dy.data<T>()}, values{y.data<T>()};
  if (mode == Write::overwrite)
    cuda::for_each_element(
        dy.numel(), [] __device__(const T& g, const T& value, T& to) { to = g * Function::slope(value); }, gradient,
        values, Out<T>{dx.data<T>()});
  else
    cuda::for_each_element(
        dy.numel(), [] __device__(const T& g, const T& value, T& to) { to += g * Function::slope(value); }, gradient,
        values, InOut<T>{dx.data<T>()});
}

template <class T>
void activation_forward_of(Activation kind, const Tensor& x, Tensor& y) {
  formulas::visit_activation(kind, [&](auto function) { forward<T, decltype(function)>(x, y); });
}

template <class T>
void activation_backward_of(Activation kind, const Tensor& dy, const Tensor& y, Tensor& dx, Write mode) {
  formulas::visit_activation(kind, [&](auto function) { backward<T, decltype(function)>(dy, y, dx, mode); });
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(activation_forward, activation_forward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(activation_backward, activation_backward_of);

}  // namespace actgrad::kernels
