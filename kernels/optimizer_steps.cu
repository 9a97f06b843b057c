#include "kernels/optimizer_steps.h"

#include "kernels/cuda/elementwise.cuh"
#include "kernels/dispatch.h"
#include "kernels/formulas.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

using cuda::In;
using cuda::InOut;
using cuda::Out;

template <class T>
void sgd_step_of(Tensor& p, const Tensor& g, Tensor& buffer, const SgdStep& s) {
  const auto k = formulas::sgd_constants<T>(s);
  if (s.momentum == 0)
    cuda::for_each_element(
        p.numel(), [=] __device__(T & weight, const T& gradient) { weight = formulas::sgd_plain(weight, gradient, k); },
        InOut<T>{p.data<T>()}, In<T>{g.data<T>()});
  else
    cuda::for_each_element(
        p.numel(),
        [=] __device__(T & weight, const T& gradient, T& moved) { formulas::sgd_momentum(weight, gradient, moved, k); },
        InOut<T>{p.data<T>()}, In<T>{g.data<T>()}, InOut<T>{buffer.data<T>()});
}

template <class T>
void adam_step_of(Tensor& p, const Tensor& g, Tensor& m, Tensor& v, const AdamStep& s) {
  const auto k = formulas::adam_constants<T>(s);
  cuda::for_each_element(
      p.numel(),
      [=] __device__(T & weight, const T& gradient, T& first, T& second) {
        formulas::adam(weight, gradient, first, second, k);
      },
      InOut<T>{p.data<T>()}, In<T>{g.data<T>()}, InOut<T>{m.data<T>()}, InOut<T>{v.data<T>()});
}

template <class T>
__global__ void adaact_kernel(std::int64_t n, std::int64_t columns, T* p, const T* g, T* m, const T* rate,
                              formulas::AdaActConstants<T> k) {
  for (std::int64_t i = cuda::first_element(); i < n; i += cuda::element_step())
    formulas::adaact(p[i], g[i], m[i], rate[i % columns], k);
}

template <class T>
void adaact_step_of(Tensor& p, const Tensor& g, Tensor& m, const Tensor& rate, const AdaActStep& s) {
  if (p.numel() == 0) return;
  cuda::launch(adaact_kernel<T>, cuda::blocks_for(p.numel()), cuda::block_size, 0, cuda::stream(), p.numel(),
               rate.numel(), p.data<T>(), g.data<T>(), m.data<T>(), rate.data<T>(), formulas::adaact_constants<T>(s));
}

template <class T>
void adaact_rate_of(const Tensor& v, double correction2, double eps, double low, double high, Tensor& rate) {
  cuda::for_each_element(
      v.numel(),
      [inverse = T(1 / correction2), e = T(eps), l = T(low), h = T(high)] __device__(const T& moment, T& out) {
        out = formulas::adaact_rate(moment, inverse, e, l, h);
      },
      In<T>{v.data<T>()}, Out<T>{rate.data<T>()});
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(sgd_step, sgd_step_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(adam_step, adam_step_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(adaact_step, adaact_step_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(adaact_rate, adaact_rate_of);

}  // namespace actgrad::kernels
