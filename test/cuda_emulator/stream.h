// Streams, events and graphs behind the runtime's opaque handles. Work is done when it is enqueued; with
// ACTGRAD_EMULATOR_LAZY set, only when somebody waits for it. In a stream that is being captured it is recorded.
#pragma once

#include <cuda_runtime_api.h>

#include <chrono>
#include <functional>
#include <vector>

namespace actgrad::cuda_emulator {

using Operation = std::function<cudaError_t()>;

// Does the operation, or records it for the graph that the stream is being captured into.
cudaError_t enqueue(cudaStream_t stream, Operation operation);
// Does what is left of the work of all streams, in the order in which it was enqueued. Gives its error, or one
// that stays from before.
cudaError_t settle();
// For calls that a capture does not allow (allocation, anything that waits): ends every capture in progress as
// invalid, and gives the error; cudaSuccess if nothing is being captured.
cudaError_t refuse_during_capture();
// Keeps an error for cudaGetLastError; gives it back.
cudaError_t remember(cudaError_t error);

}  // namespace actgrad::cuda_emulator

// The handles' insides; the names are the runtime's.
struct CUgraph_st {
  std::vector<actgrad::cuda_emulator::Operation> operations;  // in the order of capture
};
struct CUgraphExec_st {
  std::vector<actgrad::cuda_emulator::Operation> operations;
};
struct CUstream_st {
  CUgraph_st* capture = nullptr;  // the graph that it is being captured into
  bool origin = false;            // the capture began here
  bool invalid = false;           // something that is not allowed happened meanwhile
  unsigned flags = 0;
};
struct CUevent_st {
  std::chrono::steady_clock::time_point time{};
  CUgraph_st* capture = nullptr;  // recorded in a captured stream: whoever waits for it joins the capture
  bool recorded = false;
};
