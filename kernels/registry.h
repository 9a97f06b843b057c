// How a kernel function reaches its CUDA half. The function of the header, in the .cpp, begins with ACTGRAD_DISPATCH;
// the .cu beside it ends with ACTGRAD_CUDA_KERNEL. The module that holds the .cu registers its functions when it is
// loaded.
#pragma once

#include <string>
#include <type_traits>

#include "core/tensor.h"

namespace actgrad::kernels {

namespace detail {
using AnyFunction = void (*)();
bool register_cuda(const char* name, AnyFunction function);
AnyFunction find_cuda(const char* name);  // throws InternalError when there is none
}  // namespace detail

// If `tensor` lies on a CUDA device: calls the CUDA half of `function` with the other arguments, and returns its
// result.
#define ACTGRAD_DISPATCH(function, tensor, ...)                                                  \
  if (!(tensor).device().is_cpu()) {                                                             \
    static const auto cuda_half =                                                                \
        reinterpret_cast<decltype(&function)>(::actgrad::kernels::detail::find_cuda(#function)); \
    return cuda_half(__VA_ARGS__);                                                               \
  }

// Registers `implementation`, which has the same type, as the CUDA half of `function`.
#define ACTGRAD_CUDA_KERNEL(function, implementation)                                     \
  static_assert(std::is_same_v<decltype(&function), decltype(&implementation)>);          \
  static const bool function##_is_registered = ::actgrad::kernels::detail::register_cuda( \
      #function, reinterpret_cast<::actgrad::kernels::detail::AnyFunction>(&implementation))

}  // namespace actgrad::kernels
