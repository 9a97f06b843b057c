// Correct kernels of every kind: each computes something, and says whether the result is right.
#pragma once

#include <vector>

namespace actgrad::test {

struct Workload {
  const char* name;
  bool (*run)();
};
const std::vector<Workload>& workloads();

}  // namespace actgrad::test
