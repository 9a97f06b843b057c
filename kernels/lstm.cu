#include "kernels/lstm.h"

#include "kernels/cell_formulas.h"
#include "kernels/cell_targets.h"
#include "kernels/cuda/elementwise.cuh"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

using cuda::In;
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
__global__ void backward_kernel(std::int64_t n, const T* gate, const T* c_previous, T forget_bias, const T* dc,
                                const T* dh, CellPlace<T> to_gates, CellPlace<T> to_c) {
  for (std::int64_t e = cuda::first_element(); e < n; e += cuda::element_step()) {
    const T before = c_previous[e];
    const auto unit = formulas::lstm_unit(gate[e], gate[e + n], gate[e + 2 * n], gate[e + 3 * n], before, forget_bias);
    const auto d = formulas::lstm_gradient(dc[e], dh[e], unit, before);
    to_gates.put(e, d.i);
    to_gates.put(e + n, d.j);
    to_gates.put(e + 2 * n, d.f);
    to_gates.put(e + 3 * n, d.o);
    to_c.put(e, d.c_previous);
  }
}

template <class T>
void lstm_backward_of(const Tensor& gates, const Tensor& c_previous, double forget_bias, const Tensor& dc,
                      const Tensor& dh, GradientTarget dgates, GradientTarget dc_previous) {
  const std::int64_t n = c_previous.numel();
  if (n == 0) return;
  const Tensor of_c = or_zeros(dc, c_previous), of_h = or_zeros(dh, c_previous);
  const CellTarget<T> to_gates(dgates, gates), to_c(dc_previous, c_previous);
  cuda::launch(backward_kernel<T>, cuda::blocks_for(n), cuda::block_size, 0, cuda::stream(), n, gates.data<T>(),
               c_previous.data<T>(), T(forget_bias), of_c.data<T>(), of_h.data<T>(), to_gates.place(), to_c.place());
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(lstm_forward, lstm_forward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(lstm_backward, lstm_backward_of);

}  // namespace actgrad::kernels
