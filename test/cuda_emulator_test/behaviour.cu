#include "test/cuda_emulator_test/behaviour.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>

#include "test/cuda_emulator/emulator.h"
#include "test/cuda_emulator/stream.h"
#include "test/cuda_emulator_test/device_array.h"
#include "test/cuda_emulator_test/graph.h"

namespace actgrad::test {
namespace {

using cuda::launch;

__global__ void one_writer_kernel(float* x) {
  if (blockIdx.x == 2 && blockIdx.y == 1 && threadIdx.x == 5) x[1024] = 1;
}

__global__ void neighbour_kernel(int* out) {
  __shared__ int values[8];
  values[threadIdx.x] = 0;
  __syncthreads();
  values[threadIdx.x] = 1;
  out[threadIdx.x] = values[threadIdx.x ^ 1];
}

__global__ void arrival_kernel(int* counter, int* order) {
  order[atomicAdd(counter, 1)] = static_cast<int>(threadIdx.x);
}

__global__ void poison_kernel(int* seen) {
  ACTGRAD_DYNAMIC_SHARED(float, dynamic);
  __shared__ float fixed[2];
  if (threadIdx.x == 0) {
    const bool clean = std::isnan(fixed[1]) && std::isnan(dynamic[3]);
    seen[blockIdx.x] = clean;
    fixed[1] = dynamic[3] = 0;
  }
}

__global__ void add_kernel(int* x, const int* by, int factor) {
  *x += *by * factor;
}

__global__ void set_kernel(int* x, int value) {
  *x = value;
}

}  // namespace

void write_behind_the_end() {
  const DeviceArray<float> x(24);
  launch(one_writer_kernel, dim3(3, 2), 32, 0, nullptr, x.data());
}

bool survives() {
  const DeviceArray<int> x(std::vector<int>{1});
  launch(set_kernel, 1u, 1, 0, nullptr, x.data(), 5);
  return x.values()[0] == 5;
}

void race_of_two_lines() {
  const DeviceArray<int> x(8);
  launch(neighbour_kernel, 1u, 8, 0, nullptr, x.data());
}

std::vector<int> order_of_threads() {
  const DeviceArray<int> counter(std::vector<int>{0}), order(96);
  launch(arrival_kernel, 1u, 96, 0, nullptr, counter.data(), order.data());
  return order.values();
}

int blocks_that_see_nan() {
  const DeviceArray<int> seen(std::vector<int>(8, 0));
  launch(poison_kernel, 8u, 32, 16, nullptr, seen.data());
  int count = 0;
  for (const int block : seen.values()) count += block;
  return count;
}

// A number that must differ between replays comes from device memory.
std::vector<int> graph_counts() {
  const DeviceArray<int> x(std::vector<int>{3}), by(std::vector<int>{1});
  int factor = 10;
  const Graph graph([&](cudaStream_t stream) { launch(add_kernel, 1u, 1, 0, stream, x.data(), by.data(), factor); });
  factor = 1000;
  std::vector<int> seen;
  for (int i = 0; i < 3; ++i) {
    graph.replay();
    seen.push_back(x.values()[0]);
  }
  return seen;
}

std::vector<int> captured_copy() {
  const DeviceArray<int> from(std::vector<int>{1, 2}), to(4);
  const Graph graph([&](cudaStream_t stream) {
    const std::size_t half = 2 * sizeof(int);
    ACTGRAD_CUDA_CHECK(cudaMemcpyAsync(to.data(), from.data(), half, cudaMemcpyDeviceToDevice, stream));
    ACTGRAD_CUDA_CHECK(cudaMemsetAsync(to.data() + 2, 0, half, stream));
    ACTGRAD_CUDA_CHECK(cudaMemcpyAsync(to.data() + 3, from.data() + 1, sizeof(int), cudaMemcpyDefault, stream));
  });
  from.assign({7, 8});
  graph.replay();
  return to.values();
}

// Events carry a capture from one stream to another and back.
std::vector<int> joined_streams() {
  const DeviceArray<int> x(std::vector<int>{0, 0});
  cudaStream_t side = nullptr;
  cudaEvent_t fork = nullptr, join = nullptr;
  ACTGRAD_CUDA_CHECK(cudaStreamCreate(&side));
  ACTGRAD_CUDA_CHECK(cudaEventCreate(&fork));
  ACTGRAD_CUDA_CHECK(cudaEventCreate(&join));
  const Graph graph([&](cudaStream_t stream) {
    ACTGRAD_CUDA_CHECK(cudaEventRecord(fork, stream));
    ACTGRAD_CUDA_CHECK(cudaStreamWaitEvent(side, fork, 0));
    launch(set_kernel, 1u, 1, 0, stream, x.data(), 1);
    launch(set_kernel, 1u, 1, 0, side, x.data() + 1, 2);
    ACTGRAD_CUDA_CHECK(cudaEventRecord(join, side));
    ACTGRAD_CUDA_CHECK(cudaStreamWaitEvent(stream, join, 0));
  });
  graph.replay();
  ACTGRAD_CUDA_CHECK(cudaEventDestroy(fork));
  ACTGRAD_CUDA_CHECK(cudaEventDestroy(join));
  ACTGRAD_CUDA_CHECK(cudaStreamDestroy(side));
  return x.values();
}

void library_reads_too_much() {
  const DeviceArray<int> x(10);
  cuda_emulator::library_reads(x.data() + 5, 6 * sizeof(int));
}

bool library_result_is_readable() {
  const DeviceArray<int> x(1), total(std::vector<int>{1});
  ACTGRAD_CUDA_CHECK(cuda_emulator::enqueue(nullptr, [&] {
    cuda_emulator::library_writes(x.data(), sizeof(int));
    *x.data() = 4;  // as a library's stand-in does, on the host
    return cudaSuccess;
  }));
  launch(add_kernel, 1u, 1, 0, nullptr, total.data(), x.data(), 1);
  return total.values()[0] == 5;
}

std::vector<int> before_and_after_waiting() {
  int* locked = nullptr;
  ACTGRAD_CUDA_CHECK(cudaMallocHost(reinterpret_cast<void**>(&locked), sizeof(int)));
  *locked = 0;
  launch(set_kernel, 1u, 1, 0, nullptr, locked, 1);
  std::vector<int> seen = {*locked};
  ACTGRAD_CUDA_CHECK(cudaStreamSynchronize(nullptr));
  seen.push_back(*locked);
  ACTGRAD_CUDA_CHECK(cudaFreeHost(locked));
  return seen;
}

// In a process of its own, which the access ends.
int signal_of_host_access() {
  const DeviceArray<int> x(std::vector<int>{1});
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);
    volatile int* const element = x.data();
    *element = 2;
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

}  // namespace actgrad::test
