#include "kernels/cuda/autotune.h"

#include <algorithm>
#include <limits>

#include "core/recording.h"
#include "kernels/algorithm_choice.h"
#include "kernels/cuda/runtime.h"

namespace actgrad::cuda {
namespace {

constexpr int rounds = 5;

// Milliseconds between two points of the device's work.
class Timer {
 public:
  Timer() {
    ACTGRAD_CUDA_CHECK(cudaEventCreate(&start_));
    ACTGRAD_CUDA_CHECK(cudaEventCreate(&end_));
  }
  ~Timer() {
    cudaEventDestroy(start_);
    cudaEventDestroy(end_);
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  float time(const std::function<void()>& work) {
    ACTGRAD_CUDA_CHECK(cudaEventRecord(start_, stream()));
    work();
    ACTGRAD_CUDA_CHECK(cudaEventRecord(end_, stream()));
    ACTGRAD_CUDA_CHECK(cudaEventSynchronize(end_));
    float milliseconds = 0;
    ACTGRAD_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, start_, end_));
    return milliseconds;
  }

 private:
  cudaEvent_t start_ = nullptr, end_ = nullptr;
};

}  // namespace

std::string fastest(const std::string& what, const std::vector<std::string>& candidates,
                    const std::function<void(const std::string&)>& run) {
  if (const auto kept = kernels::tuned_choice(what)) return *kept;
  ACTGRAD_CHECK(!candidates.empty(), what);
  Timer timer;
  std::string best;
  float shortest = std::numeric_limits<float>::infinity();
  const auto attempt = [&](const std::string& name) {
    run(name);  // the first call prepares what the others find ready
    for (int round = 0; round < rounds; ++round) {
      const float time = timer.time([&] { run(name); });
      if (time < shortest) {
        shortest = time;
        best = name;
      }
    }
  };
  for (const std::string& name : candidates) {
    try {
      MemoryPool::leave([&] { attempt(name); });  // workspaces of those that lose would stay in it
    } catch (const UserError&) {                  // too little memory for its workspace
      if (candidates.size() == 1) throw;
    } catch (const kernels::AlgorithmRefused&) {
    }
  }
  if (best.empty()) best = candidates.front();  // all of them: let the caller meet the error
  kernels::keep_tuned_choice(what, best);
  return best;
}

}  // namespace actgrad::cuda
