// Choosing the template instance that fits a tensor.
#pragma once

#include <utility>

#include "core/tensor.h"

namespace actgrad::kernels {

// Calls f.template operator()<T>() with T = float or double; throws InternalError for other dtypes.
//   visit_floating(x.dtype(), [&]<class T>() { … x.data<T>() … });
template <class F>
decltype(auto) visit_floating(DType dtype, F&& f) {
  switch (dtype) {
    case DType::float32: return std::forward<F>(f).template operator()<float>();
    case DType::float64: return std::forward<F>(f).template operator()<double>();
    default: ACTGRAD_CHECK(false, std::string("no arithmetic on ") + name_of(dtype));
  }
}

// The same with bfloat16 too, which is for storing only.
template <class F>
decltype(auto) visit_any_floating(DType dtype, F&& f) {
  if (dtype == DType::bfloat16) return std::forward<F>(f).template operator()<bfloat16>();
  return visit_floating(dtype, std::forward<F>(f));
}

}  // namespace actgrad::kernels
