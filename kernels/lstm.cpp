#include "kernels/lstm.h"

#include "kernels/cell_formulas.h"
#include "kernels/cell_targets.h"
#include "kernels/dispatch.h"
#include "kernels/flat.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

void check_gates(const Tensor& gates, const Tensor& c) {
  ACTGRAD_CHECK(c.rank() == 2 && (gates.shape() == Shape{4 * c.dim(0), c.dim(1)}),
                gates.shape().to_string() + " and " + c.shape().to_string());
}

}  // namespace

void lstm_forward(const Tensor& gates, const Tensor& c_previous, double forget_bias, Tensor& c, Tensor& h) {
  check_gates(gates, c_previous);
  check_like(c_previous, c);
  check_like(c_previous, h);
  ACTGRAD_DISPATCH(lstm_forward, gates, gates, c_previous, forget_bias, c, h);
  visit_floating(gates.dtype(), [&]<class T>() {
    const std::int64_t n = c.numel();
    const T *const gate = gates.data<T>(), *const before = c_previous.data<T>();
    T *const to_c = c.data<T>(), *const to_h = h.data<T>();
    for_each_element(n, [=, bias = T(forget_bias)](std::int64_t e) {
      const auto unit = formulas::lstm_unit(gate[e], gate[e + n], gate[e + 2 * n], gate[e + 3 * n], before[e], bias);
      to_c[e] = unit.c;
      to_h[e] = unit.h();
    });
  });
}

void lstm_backward(const Tensor& gates, const Tensor& c_previous, double forget_bias, const Tensor& dc,
                   const Tensor& dh, GradientTarget dgates, GradientTarget dc_previous) {
  check_gates(gates, c_previous);
  ACTGRAD_DISPATCH(lstm_backward, gates, gates, c_previous, forget_bias, dc, dh, dgates, dc_previous);
  const Tensor of_c = or_zeros(dc, c_previous), of_h = or_zeros(dh, c_previous);
  visit_floating(gates.dtype(), [&]<class T>() {
    const std::int64_t n = c_previous.numel();
    const T *const gate = gates.data<T>(), *const before = c_previous.data<T>();
    const T *const gradient_c = of_c.data<T>(), *const gradient_h = of_h.data<T>();
    const CellTarget<T> to_gates(dgates, gates), to_c(dc_previous, c_previous);
    for_each_element(n, [=, bias = T(forget_bias), gates_to = to_gates.place(), c_to = to_c.place()](std::int64_t e) {
      const auto unit = formulas::lstm_unit(gate[e], gate[e + n], gate[e + 2 * n], gate[e + 3 * n], before[e], bias);
      const auto d = formulas::lstm_gradient(gradient_c[e], gradient_h[e], unit, before[e]);
      gates_to.put(e, d.i);
      gates_to.put(e + n, d.j);
      gates_to.put(e + 2 * n, d.f);
      gates_to.put(e + 3 * n, d.o);
      c_to.put(e, d.c_previous);
    });
  });
}

}  // namespace actgrad::kernels
