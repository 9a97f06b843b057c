// How a kernel function reaches its CUDA half. The function of the header, in the .cpp, begins with ACTGRAD_DISPATCH;
// the .cu beside it ends with ACTGRAD_CUDA_KERNEL. The module that holds the .cu registers its functions when it is
// loaded.
#pragma once

#include <string>
#include <type_traits>

#include "kernels/work.h"

namespace actgrad::kernels {

namespace detail {
using AnyFunction = void (*)();
bool register_cuda(const char* name, AnyFunction function);
AnyFunction find_cuda(const char* name);  // throws InternalError when there is none
}  // namespace detail

// If `tensor` lies on a CUDA device: calls the CUDA half of `function` with the other arguments, and returns its
// result. On every device the call's work is counted (kernels/work.h), from here to the end of the function.
#define ACTGRAD_DISPATCH(function, tensor, ...)                                                        \
  const auto actgrad_work_scope = ::actgrad::kernels::WorkScope::of_arguments(#function, __VA_ARGS__); \
  if (!(tensor).device().is_cpu()) {                                                                   \
    static const auto cuda_half =                                                                      \
        reinterpret_cast<decltype(&function)>(::actgrad::kernels::detail::find_cuda(#function));       \
    return cuda_half(__VA_ARGS__);                                                                     \
  }

namespace detail {
inline DType dtype_among(const Tensor& tensor) {
  return tensor.dtype();
}
template <class... Rest>
DType dtype_among(const Tensor& tensor, const Rest&...) {
  return tensor.dtype();
}
template <class First, class... Rest>
DType dtype_among(const First&, const Rest&... rest) {
  return dtype_among(rest...);
}

// A function that calls Float or Double, by the dtype of its first tensor.
template <auto Float, auto Double>
struct ByDtype;
template <class Result, class... Arguments, Result (*Float)(Arguments...), Result (*Double)(Arguments...)>
struct ByDtype<Float, Double> {
  static Result call(Arguments... arguments) {
    switch (dtype_among(arguments...)) {
      case DType::float32: return Float(arguments...);
      case DType::float64: return Double(arguments...);
      default: ACTGRAD_CHECK(false, std::string("no CUDA arithmetic on ") + name_of(dtype_among(arguments...)));
    }
  }
};
}  // namespace detail

// Registers `implementation`, which has the same type, as the CUDA half of `function`.
#define ACTGRAD_CUDA_KERNEL(function, implementation)                                                      \
  static_assert(std::is_same_v<decltype(&function), decltype(&implementation)>);                           \
  [[maybe_unused]] static const bool function##_is_registered = ::actgrad::kernels::detail::register_cuda( \
      #function, reinterpret_cast<::actgrad::kernels::detail::AnyFunction>(&implementation))

// The same for a function template on float and double, chosen by the dtype of the first tensor argument.
#define ACTGRAD_CUDA_KERNEL_BY_DTYPE(function, implementation)                                                      \
  using function##_by_dtype = ::actgrad::kernels::detail::ByDtype<&implementation<float>, &implementation<double>>; \
  ACTGRAD_CUDA_KERNEL(function, function##_by_dtype::call)

}  // namespace actgrad::kernels
