#include "kernels/optimizer_steps.h"

#include "kernels/cuda/elementwise.cuh"
#include "kernels/formulas.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

using cuda::In;
using cuda::InOut;
using cuda::Out;

template <class T>
void sgd_step_of(Tensor& p, const Tensor& g, Tensor& buffer, const StepValue<SgdStep>& step) {
  const auto constants = [s = step.on_device()] __device__() { return formulas::sgd_constants<T>(*s); };
  using Constants = formulas::SgdConstants<T>;
  if (!buffer)
    cuda::for_each_element_with(
        p.numel(), constants,
        [] __device__(const Constants& k, T& weight, const T& gradient) {
          weight = formulas::sgd_plain(weight, gradient, k);
        },
        InOut<T>{p.data<T>()}, In<T>{g.data<T>()});
  else
    cuda::for_each_element_with(
        p.numel(), constants,
        [] __device__(const Constants& k, T& weight, const T& gradient, T& moved) {
          formulas::sgd_momentum(weight, gradient, moved, k);
        },
        InOut<T>{p.data<T>()}, In<T>{g.data<T>()}, InOut<T>{buffer.data<T>()});
}

template <class T>
void adam_step_of(Tensor& p, const Tensor& g, Tensor& m, Tensor& v, const StepValue<AdamStep>& step) {
  cuda::for_each_element_with(
      p.numel(), [s = step.on_device()] __device__() { return formulas::adam_constants<T>(*s); },
      [] __device__(const formulas::AdamConstants<T>& k, T& weight, const T& gradient, T& first, T& second) {
        formulas::adam(weight, gradient, first, second, k);
      },
      InOut<T>{p.data<T>()}, In<T>{g.data<T>()}, InOut<T>{m.data<T>()}, InOut<T>{v.data<T>()});
}

template <class T>
void adan_step_of(Tensor& p, const Tensor& g, Tensor& m, Tensor& v, Tensor& n, Tensor& previous,
                  const StepValue<AdanStep>& step) {
  cuda::for_each_element_with(
      p.numel(), [s = step.on_device()] __device__() { return formulas::adan_constants<T>(*s); },
      [] __device__(const formulas::AdanConstants<T>& k, T& weight, const T& gradient, T& first, T& change, T& second,
                    T& before) { formulas::adan(weight, gradient, first, change, second, before, k); },
      InOut<T>{p.data<T>()}, In<T>{g.data<T>()}, InOut<T>{m.data<T>()}, InOut<T>{v.data<T>()}, InOut<T>{n.data<T>()},
      InOut<T>{previous.data<T>()});
}

// One thread per element: it looks up its piece.
template <class T>
__global__ void adaact_kernel(std::int64_t n, int count, const AdaActPiece* pieces, T* p, const T* g, T* m,
                              const T* rates, const AdaActStep* step) {
  const auto constants = formulas::adaact_constants<T>(*step);
  for (std::int64_t i = cuda::first_element(); i < n; i += cuda::element_step()) {
    int low = 0, high = count;  // the piece is the last one that begins at or before i: it lies in [low, high)
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      (pieces[middle].begin <= i ? low : high) = middle;
    }
    const AdaActPiece piece = pieces[low];
    if (i < piece.begin || i >= piece.end) continue;
    const auto k = constants.of(piece.decays);
    if (piece.rate < 0)
      p[i] = formulas::adaact_plain(p[i], g[i], k);
    else
      formulas::adaact(p[i], g[i], m[i], rates[piece.rate + (i - piece.begin) % piece.columns], k);
  }
}

template <class T>
void adaact_step_of(Tensor& p, const Tensor& g, Tensor& m, const Tensor& rates, const AdaActPieces& pieces,
                    const StepValue<AdaActStep>& step) {
  if (p.numel() == 0 || pieces.size() == 0) return;
  cuda::launch(adaact_kernel<T>, cuda::blocks_for(p.numel()), cuda::block_size, 0, cuda::stream(), p.numel(),
               static_cast<int>(pieces.size()), pieces.on_device(), p.data<T>(), g.data<T>(), m.data<T>(),
               rates.data<T>(), step.on_device());
}

template <class T>
void adaact_rate_of(const Tensor& v, const StepValue<AdaActStep>& step, Tensor& rate) {
  cuda::for_each_element_with(
      v.numel(), [s = step.on_device()] __device__() { return formulas::adaact_constants<T>(*s); },
      [] __device__(const formulas::AdaActConstants<T>& k, const T& moment, T& out) {
        out = formulas::adaact_rate(moment, k);
      },
      In<T>{v.data<T>()}, Out<T>{rate.data<T>()});
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(sgd_step, sgd_step_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(adam_step, adam_step_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(adan_step, adan_step_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(adaact_step, adaact_step_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(adaact_rate, adaact_rate_of);

}  // namespace actgrad::kernels
