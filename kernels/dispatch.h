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

}  // namespace actgrad::kernels
