#include "kernels/optimizer_steps.h"

#include "kernels/dispatch.h"
#include "kernels/flat.h"
#include "kernels/formulas.h"
#include "kernels/registry.h"

namespace actgrad::kernels {

void sgd_step(Tensor& p, const Tensor& g, Tensor& buffer, const StepValue<SgdStep>& step) {
  check_like(p, g);
  ACTGRAD_CHECK(static_cast<bool>(buffer) == (step.value().momentum != 0), "a buffer goes with momentum");
  if (buffer) check_like(p, buffer);
  ACTGRAD_DISPATCH(sgd_step, p, p, g, buffer, step);
  visit_floating(p.dtype(), [&]<class T>() {
    const auto k = formulas::sgd_constants<T>(step.value());
    T* const weights = p.data<T>();
    const T* const gradients = g.data<T>();
    if (!buffer) {
      for_each_element(p.numel(),
                       [=](std::int64_t i) { weights[i] = formulas::sgd_plain(weights[i], gradients[i], k); });
      return;
    }
    T* const buffers = buffer.data<T>();
    for_each_element(p.numel(),
                     [=](std::int64_t i) { formulas::sgd_momentum(weights[i], gradients[i], buffers[i], k); });
  });
}

void adam_step(Tensor& p, const Tensor& g, Tensor& m, Tensor& v, const StepValue<AdamStep>& step) {
  check_like(p, g);
  check_like(p, m);
  check_like(p, v);
  ACTGRAD_DISPATCH(adam_step, p, p, g, m, v, step);
  visit_floating(p.dtype(), [&]<class T>() {
    const auto k = formulas::adam_constants<T>(step.value());
    T* const weights = p.data<T>();
    const T* const gradients = g.data<T>();
    T* const first = m.data<T>();
    T* const second = v.data<T>();
    for_each_element(p.numel(),
                     [=](std::int64_t i) { formulas::adam(weights[i], gradients[i], first[i], second[i], k); });
  });
}

void adaact_step(Tensor& p, const Tensor& g, Tensor& m, const Tensor& rate, const StepValue<AdaActStep>& step) {
  check_like(p, g);
  check_like(p, m);
  const std::int64_t columns = rate.numel();
  ACTGRAD_CHECK(columns > 0 && p.numel() % columns == 0,
                p.shape().to_string() + " with rates " + rate.shape().to_string());
  ACTGRAD_DISPATCH(adaact_step, p, p, g, m, rate, step);
  visit_floating(p.dtype(), [&]<class T>() {
    const auto k = formulas::adaact_constants<T>(step.value());
    T* const weights = p.data<T>();
    const T* const gradients = g.data<T>();
    T* const momenta = m.data<T>();
    const T* const rates = rate.data<T>();
    if (columns == 1) {  // a bias: one long column
      const T only = rates[0];
      for_each_element(p.numel(),
                       [=](std::int64_t i) { formulas::adaact(weights[i], gradients[i], momenta[i], only, k); });
      return;
    }
    parallel_for(p.numel() / columns, std::max<std::int64_t>(1, flat_grain / columns), [&](Range rows, int) {
      for (std::int64_t row = rows.begin; row < rows.end; ++row) {
        T* const row_weights = weights + row * columns;
        const T* const row_gradients = gradients + row * columns;
        T* const row_momenta = momenta + row * columns;
        const T* const row_rates = rates;
        const auto constants = k;
#pragma omp simd
        for (std::int64_t j = 0; j < columns; ++j)
          formulas::adaact(row_weights[j], row_gradients[j], row_momenta[j], row_rates[j], constants);
      }
    });
  });
}

void adaact_plain_step(Tensor& p, const Tensor& g, const StepValue<AdaActStep>& step) {
  check_like(p, g);
  ACTGRAD_DISPATCH(adaact_plain_step, p, p, g, step);
  visit_floating(p.dtype(), [&]<class T>() {
    const auto k = formulas::adaact_constants<T>(step.value());
    T* const weights = p.data<T>();
    const T* const gradients = g.data<T>();
    for_each_element(p.numel(),
                     [=](std::int64_t i) { weights[i] = formulas::adaact_plain(weights[i], gradients[i], k); });
  });
}

void adaact_rate(const Tensor& v, const StepValue<AdaActStep>& step, Tensor& rate) {
  check_like(v, rate);
  ACTGRAD_DISPATCH(adaact_rate, v, v, step, rate);
  visit_floating(v.dtype(), [&]<class T>() {
    const auto k = formulas::adaact_constants<T>(step.value());
    const T* const moments = v.data<T>();
    T* const rates = rate.data<T>();
    for_each_element(v.numel(), [=](std::int64_t i) { rates[i] = formulas::adaact_rate(moments[i], k); });
  });
}

}  // namespace actgrad::kernels
