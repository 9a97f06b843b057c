#include "kernels/lstm.h"

#include "kernels/cell_formulas.h"
#include "kernels/cell_targets.h"
#include "kernels/cuda/elementwise.cuh"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

using cuda::In;
using cuda::InOut;
using cuda::Out;

template <class T>
void lstm_forward_of(const Tensor& gates, const Tensor& c_previous, double forget_bias, Tensor& c, Tensor& h) {
  const std::int64_t n = c.numel();
  const T* const gate = gates.data<T>();
  cuda::for_each_element(
      n,
      [bias = T(forget_bias)] __device__(const T& i, const T& j, const T& f, const T& o, const T& before, T& to_c,
                                         T& to_h) {
        const auto unit = formulas::lstm_unit(i, j, f, o, before, bias);
        to_c = unit.c;
        to_h = unit.h();
      },
      In<T>{gate}, In<T>{gate + n}, In<T>{gate + 2 * n}, In<T>{gate + 3 * n}, In<T>{c_previous.data<T>()},
      Out<T>{c.data<T>()}, Out<T>{h.data<T>()});
}

template <class T>
void lstm_backward_of(const Tensor& gates, const Tensor& c_previous, double forget_bias, const Tensor& dc,
                      const Tensor& dh, GradientTarget dgates, GradientTarget dc_previous) {
  const std::int64_t n = c_previous.numel();
  const Tensor of_c = or_zeros(dc, c_previous), of_h = or_zeros(dh, c_previous);
  const CellTarget<T> to_gates(dgates, gates), to_c(dc_previous, c_previous);
  const T* const gate = gates.data<T>();
  T* const to = to_gates.to;
  cuda::for_each_element(
      n,
      [bias = T(forget_bias), adds = to_gates.adds, adds_before = to_c.adds] __device__(
          const T& i, const T& j, const T& f, const T& o, const T& before, const T& gradient_c, const T& gradient_h,
          T& di, T& dj, T& df, T& d_o, T& dbefore) {
        const auto unit = formulas::lstm_unit(i, j, f, o, before, bias);
        const auto d = formulas::lstm_gradient(gradient_c, gradient_h, unit, before);
        di = d.i + (adds ? di : T(0));
        dj = d.j + (adds ? dj : T(0));
        df = d.f + (adds ? df : T(0));
        d_o = d.o + (adds ? d_o : T(0));
        dbefore = d.c_previous + (adds_before ? dbefore : T(0));
      },
      In<T>{gate}, In<T>{gate + n}, In<T>{gate + 2 * n}, In<T>{gate + 3 * n}, In<T>{c_previous.data<T>()},
      In<T>{of_c.data<T>()}, In<T>{of_h.data<T>()}, InOut<T>{to}, InOut<T>{to + n}, InOut<T>{to + 2 * n},
      InOut<T>{to + 3 * n}, InOut<T>{to_c.to});
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(lstm_forward, lstm_forward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(lstm_backward, lstm_backward_of);

}  // namespace actgrad::kernels
