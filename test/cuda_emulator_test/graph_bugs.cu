// Mistakes around captured graphs: what a replay does not take along.
#include <functional>
#include <memory>

#include "test/cuda_emulator_test/device_array.h"
#include "test/cuda_emulator_test/graph.h"
#include "test/cuda_emulator_test/planted_bugs.h"

namespace actgrad::test {
namespace {

using cuda::launch;

__global__ void step_kernel(float* w, float rate, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) w[i] -= rate;
}

bool scalar_baked_in() {
  const DeviceArray<float> w(std::vector<float>(64, 10.0f));
  float rate = 1;
  const Graph graph([&](cudaStream_t stream) { launch(step_kernel, 1u, 64, 0, stream, w.data(), rate, 64); });
  graph.replay();
  rate = 2;  // the graph still has 1
  graph.replay();
  return w.values() == std::vector<float>(64, 7.0f);
}

bool dangling_address() {
  auto w = std::make_unique<DeviceArray<float>>(std::vector<float>(64, 10.0f));
  const Graph graph([&](cudaStream_t stream) { launch(step_kernel, 1u, 64, 0, stream, w->data(), 1.0f, 64); });
  graph.replay();
  w.reset();
  graph.replay();
  return true;
}

bool dangling_copy() {
  const DeviceArray<float> w(std::vector<float>(64, 10.0f));
  auto copy = std::make_unique<DeviceArray<float>>(64);
  const Graph graph([&](cudaStream_t stream) {
    ACTGRAD_CUDA_CHECK(cudaMemcpyAsync(copy->data(), w.data(), 64 * sizeof(float), cudaMemcpyDeviceToDevice, stream));
  });
  copy.reset();
  graph.replay();
  return true;
}

bool wait_during_capture() {
  const DeviceArray<float> w(std::vector<float>(64, 10.0f));
  const Graph graph([&](cudaStream_t stream) {
    launch(step_kernel, 1u, 64, 0, stream, w.data(), 1.0f, 64);
    ACTGRAD_CUDA_CHECK(cudaStreamSynchronize(stream));
  });
  return true;
}

bool allocation_during_capture() {
  const Graph graph([&](cudaStream_t) { const DeviceArray<float> scratch(64); });
  return true;
}

bool default_stream_during_capture() {
  const DeviceArray<float> w(std::vector<float>(64, 10.0f));
  const Graph graph([&](cudaStream_t) { launch(step_kernel, 1u, 64, 0, nullptr, w.data(), 1.0f, 64); });
  return true;
}

}  // namespace

const std::vector<PlantedBug>& graph_bugs() {
  static const std::vector<PlantedBug> all = {
      {"scalar baked into a graph", scalar_baked_in, "wrong result", "wrong result"},
      {"dangling address in a graph", dangling_address, "a freed allocation", "a freed allocation"},
      {"dangling address of a copy in a graph", dangling_copy, "invalid argument", "invalid argument"},
      {"waiting during a capture", wait_during_capture, "cudaErrorStreamCaptureUnsupported",
       "cudaErrorStreamCaptureUnsupported"},
      {"allocation during a capture", allocation_during_capture, "cudaErrorStreamCaptureUnsupported",
       "cudaErrorStreamCaptureUnsupported"},
      {"the default stream during a capture", default_stream_during_capture, "cudaErrorStreamCaptureImplicit",
       "cudaErrorStreamCaptureImplicit"},
  };
  return all;
}

}  // namespace actgrad::test
