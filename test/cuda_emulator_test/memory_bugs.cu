// Wrong addresses, and memory that nobody has written.
#include <cmath>
#include <cstdint>
#include <memory>

#include "kernels/cuda/launch.h"
#include "test/cuda_emulator_test/device_array.h"
#include "test/cuda_emulator_test/planted_bugs.h"

namespace actgrad::test {
namespace {

using cuda::launch;

__global__ void inclusive_kernel(float* x, int n) {
  for (int i = static_cast<int>(threadIdx.x); i <= n; i += static_cast<int>(blockDim.x)) x[i] = 1;
}

bool one_past_the_end() {
  const DeviceArray<float> x(100);
  launch(inclusive_kernel, 1u, 64, 0, nullptr, x.data(), 100);
  return true;
}

// The size is no multiple of 16 bytes: the guard page begins a few bytes after the end.
bool one_past_an_odd_end() {
  const DeviceArray<float> x(101);
  launch(inclusive_kernel, 1u, 64, 0, nullptr, x.data(), 101);
  return true;
}

__global__ void unguarded_kernel(const float* x, float* y) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  y[i] = 2 * x[i];
}

bool no_bounds_check() {
  const DeviceArray<float> x(whole_numbers(1000)), y(1000);
  launch(unguarded_kernel, blocks_of(128, 1000), 128, 0, nullptr, x.data(), y.data());
  return true;
}

__global__ void difference_kernel(const float* x, float* y, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) y[i] = x[i + 1] - x[i];
}

bool read_past_the_end() {
  const DeviceArray<float> x(whole_numbers(256)), y(256);
  launch(difference_kernel, 2u, 128, 0, nullptr, x.data(), y.data(), 256);
  return true;
}

bool read_before_the_beginning() {
  const DeviceArray<float> x(whole_numbers(100)), y(100);
  launch(difference_kernel, 1u, 128, 0, nullptr, x.data() - 1, y.data(), 100);
  return y.values()[1] == x.values()[1] - x.values()[0];
}

bool use_after_free() {
  const DeviceArray<float> x(whole_numbers(128));
  auto y = std::make_unique<DeviceArray<float>>(128);
  float* const gone = y->data();
  y.reset();
  launch(unguarded_kernel, 1u, 128, 0, nullptr, x.data(), gone);
  return true;
}

bool host_pointer() {
  const std::vector<float> x = whole_numbers(128);
  const DeviceArray<float> y(128);
  launch(unguarded_kernel, 1u, 128, 0, nullptr, x.data(), y.data());
  return y.values()[5] == 2 * x[5];
}

bool null_pointer() {
  const DeviceArray<float> x(whole_numbers(128));
  launch(unguarded_kernel, 1u, 128, 0, nullptr, x.data(), nullptr);
  return true;
}

__global__ void wide_kernel(const float* x, float4* y) {
  y[threadIdx.x] = *reinterpret_cast<const float4*>(x + 4 * threadIdx.x + 1);
}

bool misaligned_float4() {
  const std::vector<float> a = whole_numbers(4 * 32 + 1);
  const DeviceArray<float> x(a);
  const DeviceArray<float4> y(32);
  launch(wide_kernel, 1u, 32, 0, nullptr, x.data(), y.data());
  return y.values()[2].y == a[10];
}

__global__ void static_array_kernel(const int* x, int* y) {
  __shared__ int values[64];
  __shared__ int others[64];
  others[threadIdx.x] = values[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  const int next = values[threadIdx.x + 1];  // the last one reads what lies behind
  y[threadIdx.x] = threadIdx.x < 63 ? next : others[0];
}

bool static_array_out_of_bounds() {
  const std::vector<int> a = whole_numbers<int>(64);
  const DeviceArray<int> x(a), y(64);
  launch(static_array_kernel, 1u, 64, 0, nullptr, x.data(), y.data());
  return y.values()[63] == a[0];
}

__global__ void dynamic_array_kernel(const double* x, double* y) {
  ACTGRAD_DYNAMIC_SHARED(double, values);
  values[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = values[blockDim.x - 1 - threadIdx.x];
}

bool too_little_dynamic_memory() {
  const DeviceArray<double> x(whole_numbers<double>(64)), y(64);
  launch(dynamic_array_kernel, 1u, 64, 64 * sizeof(float), nullptr, x.data(), y.data());  // doubles it holds
  return true;
}

__global__ void not_cleared_kernel(const float* x, float* y) {
  __shared__ float sums[32];
  for (int i = 0; i < 4; ++i) sums[threadIdx.x] += x[i * 32 + static_cast<int>(threadIdx.x)];
  y[threadIdx.x] = sums[threadIdx.x];
}

bool shared_memory_not_cleared() {
  const DeviceArray<float> x(whole_numbers(128)), y(32);
  launch(not_cleared_kernel, 1u, 32, 0, nullptr, x.data(), y.data());
  return !std::isnan(y.values()[0]);
}

__global__ void halo_kernel(const float* x, float* y) {
  __shared__ float values[66];
  const unsigned i = threadIdx.x + 1;
  values[i] = x[threadIdx.x];
  __syncthreads();
  const float left = values[i - 1], right = values[i + 1];  // the two ends were never filled
  y[threadIdx.x] = left > 100 || right > 100 ? 1 : values[i];
}

bool unwritten_shared_read_without_effect() {
  const DeviceArray<float> x(whole_numbers(64)), y(64);
  launch(halo_kernel, 1u, 64, 0, nullptr, x.data(), y.data());
  return y.values() == x.values();
}

__global__ void accumulate_kernel(float* sums, const float* x) {
  sums[threadIdx.x] += x[threadIdx.x];
}

bool global_memory_not_cleared() {
  const DeviceArray<float> x(whole_numbers(32)), sums(32);
  launch(accumulate_kernel, 1u, 32, 0, nullptr, sums.data(), x.data());
  return sums.values() == x.values();
}

__global__ void add_one_kernel(int* x, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) x[i] += 1;
}

bool grid_too_small() {
  const DeviceArray<int> x(std::vector<int>(1000, 0));
  launch(add_one_kernel, 1000u / 128, 128, 0, nullptr, x.data(), 1000);  // rounded down
  return x.values() == std::vector<int>(1000, 1);
}

__device__ float depth(const float* x, int level) {
  volatile float memory[256];
  memory[level % 256] = x[0];
  return level == 0 ? memory[0] : depth(x, level - 1) + memory[level % 256];
}

__global__ void recursive_kernel(const float* x, float* y) {
  y[threadIdx.x] = depth(x, 1000);
}

bool stack_exhausted() {
  const DeviceArray<float> x(whole_numbers(1)), y(1);
  launch(recursive_kernel, 1u, 1, 0, nullptr, x.data(), y.data());
  return true;
}

bool too_many_threads() {
  const DeviceArray<int> x(std::vector<int>(2048, 0));
  launch(add_one_kernel, 1u, 2048, 0, nullptr, x.data(), 2048);
  return true;
}

bool too_much_shared_memory() {
  const DeviceArray<double> x(whole_numbers<double>(64)), y(64);
  launch(dynamic_array_kernel, 1u, 64, 64 << 10, nullptr, x.data(), y.data());  // never asked for by an attribute
  return true;
}

bool copy_is_too_long() {
  const DeviceArray<float> x(100);
  const std::vector<float> values(200);
  ACTGRAD_CUDA_CHECK(cudaMemcpy(x.data(), values.data(), 200 * sizeof(float), cudaMemcpyHostToDevice));
  return true;
}

bool copy_in_the_wrong_direction() {
  const DeviceArray<float> x(100);
  std::vector<float> values(100);
  ACTGRAD_CUDA_CHECK(cudaMemcpy(x.data(), values.data(), 100 * sizeof(float), cudaMemcpyDeviceToHost));
  return true;
}

bool freed_twice() {
  void* memory = nullptr;
  ACTGRAD_CUDA_CHECK(cudaMalloc(&memory, 100));
  ACTGRAD_CUDA_CHECK(cudaFree(memory));
  ACTGRAD_CUDA_CHECK(cudaFree(memory));
  return true;
}

}  // namespace

const std::vector<PlantedBug>& memory_bugs() {
  static const std::vector<PlantedBug> all = {
      {"off by one: writes past the end", one_past_the_end, "access to memory that is not there", "outside of alloc"},
      {"off by one past an end within 16 bytes", one_past_an_odd_end, "wrote behind the end", "outside of alloc"},
      {"no bounds check", no_bounds_check, "access to memory that is not there", "outside of alloc"},
      {"reads past the end", read_past_the_end, "access to memory that is not there", "outside of alloc"},
      {"reads before the beginning", read_before_the_beginning, nullptr, "4 bytes before an allocation"},
      {"use after free", use_after_free, "a freed allocation", "a freed allocation"},
      {"host pointer in a kernel", host_pointer, nullptr, "the host's memory"},
      {"null pointer", null_pointer, "access to memory that is not there", "null pointer"},
      {"misaligned float4", misaligned_float4, nullptr, "not aligned"},
      {"static shared array out of bounds", static_array_out_of_bounds, nullptr, "outside of its array"},
      {"too little dynamic shared memory", too_little_dynamic_memory, "access to memory that is not there",
       "behind the block's dynamic shared memory"},
      {"shared memory not cleared", shared_memory_not_cleared, "wrong result", "nobody has written yet"},
      {"unwritten shared read without effect", unwritten_shared_read_without_effect, nullptr, "nobody has written yet"},
      {"global memory not cleared", global_memory_not_cleared, "wrong result", "nobody has written yet"},
      {"grid too small", grid_too_small, "wrong result", "wrong result"},
      {"stack exhausted", stack_exhausted, "stack of a thread is exhausted", "stack of a thread is exhausted"},
      {"too many threads in a block", too_many_threads, "invalid configuration", "invalid configuration"},
      {"more shared memory than allowed", too_much_shared_memory, "invalid argument", "invalid argument"},
      {"copy longer than the memory", copy_is_too_long, "invalid argument", "invalid argument"},
      {"copy in the wrong direction", copy_in_the_wrong_direction, "invalid argument", "invalid argument"},
      {"freed twice", freed_twice, "invalid argument", "invalid argument"},
  };
  return all;
}

}  // namespace actgrad::test
