// What calls of kernel functions ask of a machine, whichever device computes them: the bytes that have to cross its
// memory, and the arithmetic. Every function that ACTGRAD_DISPATCH leads to its CUDA half (kernels/registry.h) is
// counted; nothing is, and it costs a comparison, unless somebody asks.
#pragma once

#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "core/tape.h"

namespace actgrad::kernels {

// Of one call.
struct Work {
  // At least: each tensor that is read or written counts once, one that is added to twice. A kernel that goes over a
  // tensor again moves more, unless it is still in a cache.
  double bytes = 0;
  double flops = 0;      // a multiply-add counts as two; a comparison, a square root as one
  bool product = false;  // a matrix product or a convolution: of what MatrixPrecision speaks
};
struct NamedWork : Work {
  std::string function;  // "conv2d_forward"
};

// The calls that the calling thread makes during `body`. What a counted function calls in turn is part of it.
std::vector<NamedWork> count_work(const std::function<void()>& body);

// Of tensors that are read or written once; undefined ones have none.
template <class... Tensors>
double bytes_of(const Tensors&... tensors) {
  return ((tensors ? static_cast<double>(tensors.bytes()) : 0.0) + ... + 0.0);
}
// Of one that is written or added to.
inline double bytes_of(const Tensor& tensor, Write mode) {
  return bytes_of(tensor) * (mode == Write::accumulate ? 2 : 1);
}

namespace detail {

struct WorkCounter {
  std::vector<NamedWork> calls;
  int depth = 0;  // of counted functions under way
};
extern constinit thread_local WorkCounter* work_counter;  // null: nobody asks

// What can be told from a call's arguments: const tensors are read, the others written.
class WorkOfArguments {
 public:
  template <class... Arguments>
  explicit WorkOfArguments(const Arguments&... arguments) {
    (find_mode(arguments), ...);
  }
  template <class Argument>
  void add(Argument& argument) {
    if constexpr (std::is_same_v<std::remove_const_t<Argument>, Tensor>) {
      work.bytes += std::is_const_v<Argument> ? bytes_of(argument) : bytes_of(argument, mode_);
      if (argument) work.flops = std::max(work.flops, static_cast<double>(argument.numel()));
    }
  }
  Work work;

 private:
  template <class Argument>
  void find_mode(const Argument& argument) {
    if constexpr (std::is_same_v<Argument, Write>) mode_ = argument;
  }
  Write mode_ = Write::overwrite;
};

}  // namespace detail

// Stands in a kernel function, before its work is done on whichever device, and counts it.
//   const WorkScope work("conv2d_forward", {.bytes = bytes_of(x, weight, bias, y), .flops = …, .product = true});
class WorkScope {
 public:
  WorkScope(const char* function, const Work& work) : counter_(detail::work_counter) {
    if (counter_ && counter_->depth++ == 0) counter_->calls.push_back({work, function});
  }
  ~WorkScope() {
    if (counter_) --counter_->depth;
  }
  WorkScope(const WorkScope&) = delete;
  WorkScope& operator=(const WorkScope&) = delete;

  // For functions that say nothing, which go over their tensors once: const ones are read, others written, or added to
  // if a Write among the arguments says so; one operation for each number of the largest.
  template <class... Arguments>
  static WorkScope of_arguments(const char* function, Arguments&&... arguments) {
    if (!detail::work_counter) return WorkScope(function, {});
    detail::WorkOfArguments found(arguments...);
    (found.add(arguments), ...);
    return WorkScope(function, found.work);
  }

 private:
  detail::WorkCounter* counter_;
};

}  // namespace actgrad::kernels
