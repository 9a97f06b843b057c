// Threads on the CPU. Work is split into contiguous ranges, one per thread, by (n, threads) alone: so the order of
// every sum, and with it every bit of a result, depends on the seed and the number of threads only.
#pragma once

#include <algorithm>
#include <cstdint>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace actgrad::kernels {

// The number of threads that kernels use; at first all cores (1 without OpenMP). Also sets it for the libraries
// underneath; oneDNN's belongs to the calling thread, so call it on the thread that trains. UserError below 1.
int threads();
void set_threads(int count);

// The range of [0, n) that thread `index` of `count` works on.
struct Range {
  std::int64_t begin, end;
};
inline Range range_of(std::int64_t n, int index, int count) {
  return {n * index / count, n * (index + 1) / count};
}

// How many threads are worth starting for n items of which each should get at least `grain`.
inline int threads_for(std::int64_t n, std::int64_t grain) {
  return static_cast<int>(std::clamp<std::int64_t>(n / std::max<std::int64_t>(grain, 1), 1, threads()));
}

// body(range, thread_index) on each of threads_for(n, grain) ranges of [0, n). Without OpenMP: one after another.
template <class Body>
void parallel_for(std::int64_t n, std::int64_t grain, Body&& body) {
  const int count = threads_for(n, grain);
  if (count == 1) {
    body(Range{0, n}, 0);
    return;
  }
#ifdef _OPENMP
#pragma omp parallel num_threads(count)
  {
    // The runtime may give fewer threads than asked for; the ranges, and so the results, stay the same.
    for (int index = omp_get_thread_num(); index < count; index += omp_get_num_threads())
      body(range_of(n, index, count), index);
  }
#else
  for (int index = 0; index < count; ++index) body(range_of(n, index, count), index);
#endif
}

}  // namespace actgrad::kernels
