#include "kernels/parallel.h"

#include <Eigen/Core>
#include <atomic>
#include <string>

#include "core/error.h"

namespace actgrad::kernels {
namespace {

// A build without OpenMP computes on the calling thread.
int cores() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

std::atomic<int>& thread_count() {
  static std::atomic<int> count = cores();
  return count;
}

}  // namespace

int threads() {
  return thread_count().load(std::memory_order_relaxed);
}

void set_threads(int count) {
  if (count < 1) throw UserError("threads: " + std::to_string(count) + " is less than 1");
#ifdef _OPENMP
  thread_count() = count;
  omp_set_num_threads(count);  // what oneDNN obeys
  Eigen::setNbThreads(count);
#endif
}

}  // namespace actgrad::kernels
