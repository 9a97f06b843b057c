// Loops over the elements of tensors that lie alike.
#pragma once

#include "core/tensor.h"
#include "kernels/parallel.h"

namespace actgrad::kernels {

// Elements that are worth a thread of their own: the work on fewer takes about as long as waking a thread.
inline constexpr std::int64_t flat_grain = 32768;

inline void check_like(const Tensor& a, const Tensor& b) {
  ACTGRAD_CHECK(
      a.shape() == b.shape() && a.dtype() == b.dtype() && a.device() == b.device(),
      a.shape().to_string() + " " + name_of(a.dtype()) + " and " + b.shape().to_string() + " " + name_of(b.dtype()));
}

// body(i) for every i in [0, n). The calls must not depend on each other: they run in vector lanes and threads.
template <class Body>
void for_each_element(std::int64_t n, const Body& body) {
  parallel_for(n, flat_grain, [&](Range range, int) {
    const Body local = body;  // a copy of its own stays in registers
#pragma omp simd
    for (std::int64_t i = range.begin; i < range.end; ++i) local(i);
  });
}

}  // namespace actgrad::kernels
