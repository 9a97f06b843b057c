// The CUDA runtime's streams, events, stream capture and graphs. Semantics: "CUDA Runtime API", stream and graph
// management.
#include <algorithm>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "test/cuda_emulator/emulator.h"
#include "test/cuda_emulator/failures.h"
#include "test/cuda_emulator/memory.h"
#include "test/cuda_emulator/stream.h"

namespace actgrad::cuda_emulator {
namespace {

std::set<CUstream_st*>& streams() {
  static auto* set = new std::set<CUstream_st*>;
  return *set;
}

// What lazy streams have not done yet.
std::deque<Operation>& pending() {
  static auto* queue = new std::deque<Operation>;
  return *queue;
}

bool is_default(cudaStream_t stream) {
  return stream == nullptr || stream == cudaStreamLegacy || stream == cudaStreamPerThread;
}

bool capturing(cudaStream_t stream) {
  return !is_default(stream) && stream->capture != nullptr;
}

}  // namespace

cudaError_t refuse_during_capture() {
  bool any = false;
  for (CUstream_st* stream : streams()) {
    if (stream->capture != nullptr) any = stream->invalid = true;
  }
  return any ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

cudaError_t enqueue(cudaStream_t stream, Operation operation) {
  const std::lock_guard lock(device_mutex());
  if (const cudaError_t error = failures::sticky()) return remember(error);
  if (!is_default(stream) && !streams().contains(stream)) return remember(cudaErrorInvalidResourceHandle);
  if (capturing(stream)) {
    if (stream->invalid) return remember(cudaErrorStreamCaptureInvalidated);
    stream->capture->operations.push_back(std::move(operation));
    return cudaSuccess;
  }
  // The legacy stream would have to wait for the captured ones.
  if (is_default(stream) && stream != cudaStreamPerThread && refuse_during_capture() != cudaSuccess) {
    return remember(cudaErrorStreamCaptureImplicit);
  }
  if (lazy()) {
    pending().push_back(std::move(operation));
    return cudaSuccess;
  }
  const DeviceAccess access;
  return remember(operation());
}

bool lazy() {
  static const bool asked_for = std::getenv("ACTGRAD_EMULATOR_LAZY") != nullptr;
  return asked_for;
}

cudaError_t settle() {
  const std::lock_guard lock(device_mutex());
  const DeviceAccess access;
  std::deque<Operation> work = std::exchange(pending(), {});  // after an error the rest is never done
  for (const Operation& operation : work)
    if (const cudaError_t error = operation()) return error;
  return failures::sticky();
}

}  // namespace actgrad::cuda_emulator

using namespace actgrad::cuda_emulator;
using Lock = std::lock_guard<std::recursive_mutex>;

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const Lock lock(device_mutex());
  *stream = new CUstream_st;
  (*stream)->flags = flags;
  streams().insert(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  if (least != nullptr) *least = 0;
  if (greatest != nullptr) *greatest = 0;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Lock lock(device_mutex());
  if (streams().erase(stream) == 0) return remember(cudaErrorInvalidResourceHandle);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const Lock lock(device_mutex());
  if (is_default(stream) || capturing(stream)) {
    if (const cudaError_t error = refuse_during_capture()) return remember(error);
  }
  return remember(settle());
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return cudaStreamSynchronize(stream);
}
cudaError_t cudaDeviceSynchronize() {
  return cudaStreamSynchronize(nullptr);
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  return enqueue(stream, [=] {
    function(data);
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const Lock lock(device_mutex());
  event->capture = capturing(stream) ? stream->capture : nullptr;
  event->recorded = true;
  event->time = std::chrono::steady_clock::now();
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const Lock lock(device_mutex());
  if (event->capture == nullptr || is_default(stream)) return cudaSuccess;
  if (stream->capture != nullptr && stream->capture != event->capture) return remember(cudaErrorStreamCaptureMerge);
  stream->capture = event->capture;
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const Lock lock(device_mutex());
  if (event->capture != nullptr) return remember(cudaErrorCapturedEvent);
  return remember(settle());
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const Lock lock(device_mutex());
  const bool ready = pending().empty();
  if (const cudaError_t error = cudaEventSynchronize(event)) return error;
  return ready ? cudaSuccess : cudaErrorNotReady;  // the next time it is
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (!start->recorded || !end->recorded) return remember(cudaErrorInvalidResourceHandle);
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const Lock lock(device_mutex());
  if (is_default(stream)) return remember(cudaErrorStreamCaptureUnsupported);
  if (stream->capture != nullptr) return remember(cudaErrorIllegalState);
  stream->capture = new CUgraph_st;
  stream->origin = true;
  stream->invalid = false;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const Lock lock(device_mutex());
  *graph = nullptr;
  if (!capturing(stream)) return remember(cudaErrorIllegalState);
  if (!stream->origin) return remember(cudaErrorStreamCaptureUnmatched);
  CUgraph_st* const captured = stream->capture;
  bool invalid = false;
  for (CUstream_st* joined : streams()) {
    if (joined->capture != captured) continue;
    invalid = invalid || joined->invalid;
    joined->capture = nullptr;
    joined->origin = joined->invalid = false;
  }
  if (invalid) {
    delete captured;
    return remember(cudaErrorStreamCaptureInvalidated);
  }
  *graph = captured;
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const Lock lock(device_mutex());
  *status = !capturing(stream) ? cudaStreamCaptureStatusNone
            : stream->invalid  ? cudaStreamCaptureStatusInvalidated
                               : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  *mode = cudaStreamCaptureModeGlobal;
  return cudaSuccess;
}

cudaError_t cudaGraphCreate(cudaGraph_t* graph, unsigned) {
  *graph = new CUgraph_st;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  if (nodes != nullptr) return remember(cudaErrorNotSupported);  // only the number of nodes is known
  *count = graph->operations.size();
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new CUgraphExec_st{graph->operations};
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags) {
  return cudaGraphInstantiate(executable, graph, flags);
}
cudaError_t cudaGraphExecUpdate(cudaGraphExec_t executable, cudaGraph_t graph, cudaGraphExecUpdateResultInfo* info) {
  executable->operations = graph->operations;
  if (info != nullptr) *info = {};
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) {
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return enqueue(stream, [operations = executable->operations] {
    for (const Operation& operation : operations) {
      const cudaError_t error = operation();
      if (error != cudaSuccess) return error;
    }
    return cudaSuccess;
  });
}

}  // extern "C"
