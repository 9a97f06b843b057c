// A stream's work, captured and replayed.
#pragma once

#include <cuda_runtime.h>

#include <functional>

#include "kernels/cuda/launch.h"

namespace actgrad::test {

class Graph {
 public:
  explicit Graph(const std::function<void(cudaStream_t)>& work) {
    ACTGRAD_CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    ACTGRAD_CUDA_CHECK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal));
    cudaGraph_t graph = nullptr;
    try {
      work(stream_);
    } catch (...) {
      if (cudaStreamEndCapture(stream_, &graph) == cudaSuccess) cudaGraphDestroy(graph);
      cudaGetLastError();
      cudaStreamDestroy(stream_);
      throw;
    }
    ACTGRAD_CUDA_CHECK(cudaStreamEndCapture(stream_, &graph));
    ACTGRAD_CUDA_CHECK(cudaGraphInstantiate(&executable_, graph, 0));
    ACTGRAD_CUDA_CHECK(cudaGraphDestroy(graph));
  }
  ~Graph() {
    cudaGraphExecDestroy(executable_);
    cudaStreamDestroy(stream_);
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void replay() const {
    ACTGRAD_CUDA_CHECK(cudaGraphLaunch(executable_, stream_));
    ACTGRAD_CUDA_CHECK(cudaStreamSynchronize(stream_));
  }
  cudaStream_t stream() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace actgrad::test
