// Taking times.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/random.h"
#include "core/tensor.h"
#include "kernels/dispatch.h"

namespace actgrad::bench {

inline double now_ms() {
  using namespace std::chrono;
  return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const std::size_t middle = values.size() / 2;
  std::sort(values.begin(), values.end());
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// The median time of `work` in ms, over as many calls as fit in `budget_ms` (at least 5, after 2 that do not count).
template <class Work>
double median_ms(Work&& work, double budget_ms = 50) {
  work();
  work();
  std::vector<double> times;
  for (const double start = now_ms(); times.size() < 5 || (now_ms() - start < budget_ms && times.size() < 1000);) {
    const double before = now_ms();
    work();
    times.push_back(now_ms() - before);
  }
  return median(times);
}

// Standard normal numbers, always the same.
inline Tensor random_tensor(const Shape& shape, DType dtype, std::uint64_t stream = 0) {
  Tensor tensor = Tensor::empty(shape, dtype);
  Random random(0, Purpose::test, stream);
  kernels::visit_floating(dtype, [&]<class T>() {
    T* const data = tensor.data<T>();
    for (std::int64_t i = 0; i < tensor.numel(); ++i) data[i] = static_cast<T>(random.normal());
  });
  return tensor;
}

}  // namespace actgrad::bench
