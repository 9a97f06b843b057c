#include "kernels/registry.h"

#include <unordered_map>

namespace actgrad::kernels::detail {
namespace {

std::unordered_map<std::string, AnyFunction>& functions() {
  static std::unordered_map<std::string, AnyFunction> table;
  return table;
}

}  // namespace

bool register_cuda(const char* name, AnyFunction function) {
  functions()[name] = function;
  return true;
}

AnyFunction find_cuda(const char* name) {
  const auto found = functions().find(name);
  ACTGRAD_CHECK(found != functions().end(), std::string("no CUDA kernel for ") + name);
  return found->second;
}

}  // namespace actgrad::kernels::detail
