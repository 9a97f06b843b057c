// Missing and misplaced barriers, fences, atomics and warp operations.
#include <numeric>

#include "kernels/cuda/reduce.cuh"
#include "test/cuda_emulator_test/device_array.h"
#include "test/cuda_emulator_test/planted_bugs.h"

namespace actgrad::test {
namespace {

using cuda::launch;

enum class Missing { before, inside };

template <Missing missing>
__global__ void tree_kernel(const int* x, int* sums) {
  __shared__ int part[128];
  part[threadIdx.x] = x[blockIdx.x * 128 + threadIdx.x];
  if (missing != Missing::before) __syncthreads();
  for (unsigned half = 64; half > 0; half /= 2) {
    if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
    if (missing != Missing::inside) __syncthreads();
  }
  if (threadIdx.x == 0) sums[blockIdx.x] = part[0];
}

template <Missing missing>
bool tree_sum() {
  const std::vector<int> a = whole_numbers<int>(4 * 128);
  const DeviceArray<int> x(a), sums(4);
  launch(tree_kernel<missing>, 4u, 128, 0, nullptr, x.data(), sums.data());
  const std::vector<int> parts = sums.values();
  for (int block = 0; block < 4; ++block)
    if (parts[static_cast<std::size_t>(block)] !=
        std::accumulate(a.begin() + block * 128, a.begin() + (block + 1) * 128, 0))
      return false;
  return true;
}

// As block_sum of kernels/cuda/reduce.cuh, without the barrier that keeps two sums apart.
__device__ int hasty_block_sum(int value) {
  __shared__ int of_warp[32];
  value = cuda::warp_sum(value);
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  int total = 0;
  for (unsigned w = 0; w < blockDim.x / 32; ++w) total += of_warp[w];
  return total;
}

__global__ void two_sums_kernel(const int* x, int* out) {
  const int value = x[threadIdx.x], first = hasty_block_sum(value), second = hasty_block_sum(2 * value);
  out[2 * threadIdx.x] = first, out[2 * threadIdx.x + 1] = second;
}

bool between_reductions() {
  const std::vector<int> a = whole_numbers<int>(256);
  const DeviceArray<int> x(a), out(512);
  launch(two_sums_kernel, 1u, 256, 0, nullptr, x.data(), out.data());
  const int sum = std::accumulate(a.begin(), a.end(), 0);
  const std::vector<int> sums = out.values();
  for (std::size_t i = 0; i < 512; ++i)
    if (sums[i] != (i % 2 == 0 ? sum : 2 * sum)) return false;
  return true;
}

template <Missing missing>
__global__ void tiles_kernel(const int* x, int* out, int tiles) {
  __shared__ int tile[64];
  int sum = 0;
  for (int t = 0; t < tiles; ++t) {
    tile[threadIdx.x] = x[t * 64 + static_cast<int>(threadIdx.x)];
    if (missing != Missing::before) __syncthreads();
    for (int i = 0; i < 64; ++i) sum += tile[i] * (i + 1);
    if (missing != Missing::inside) __syncthreads();  // the next round overwrites what others still read
  }
  out[threadIdx.x] = sum;
}

template <Missing missing>
bool tile_loop() {
  const std::vector<int> a = whole_numbers<int>(4 * 64);
  const DeviceArray<int> x(a), out(64);
  launch(tiles_kernel<missing>, 1u, 64, 0, nullptr, x.data(), out.data(), 4);
  int sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * static_cast<int>(i % 64 + 1);
  return out.values() == std::vector<int>(64, sum);
}

__global__ void transpose_kernel(const int* x, int* y) {
  __shared__ int block[16][17];
  block[threadIdx.y][threadIdx.x] = x[threadIdx.y * 16 + threadIdx.x];
  y[threadIdx.y * 16 + threadIdx.x] = block[threadIdx.x][threadIdx.y];
}

bool transposition() {
  std::vector<int> a(256), expected(256);
  std::iota(a.begin(), a.end(), 0);
  for (std::size_t i = 0; i < 256; ++i) expected[i % 16 * 16 + i / 16] = a[i];
  const DeviceArray<int> x(a), y(256);
  launch(transpose_kernel, 1u, dim3(16, 16), 0, nullptr, x.data(), y.data());
  return y.values() == expected;
}

__global__ void lanes_kernel(const int* x, int* y) {
  __shared__ int values[32];
  values[threadIdx.x] = x[threadIdx.x];  // "a warp runs in step anyway"
  y[threadIdx.x] = values[31 - threadIdx.x];
}

bool missing_syncwarp() {
  const std::vector<int> a = whole_numbers<int>(32);
  const DeviceArray<int> x(a), y(32);
  launch(lanes_kernel, 1u, 32, 0, nullptr, x.data(), y.data());
  return y.values() == std::vector<int>(a.rbegin(), a.rend());
}

__global__ void same_value_kernel(const int* x, int* found) {
  __shared__ int any;
  if (threadIdx.x == 0) any = 0;
  __syncthreads();
  if (x[threadIdx.x] > 0) any = 1;  // many write, though all the same
  __syncthreads();
  if (threadIdx.x == 0) *found = any;
}

bool racy_write_without_effect() {
  const DeviceArray<int> x(whole_numbers<int>(64)), found(1);
  launch(same_value_kernel, 1u, 64, 0, nullptr, x.data(), found.data());
  return found.values()[0] == 1;
}

__global__ void count_kernel(const int* x, int* counts) {
  __shared__ int own[4];
  if (threadIdx.x < 4) own[threadIdx.x] = 0;
  __syncthreads();
  own[static_cast<unsigned>(x[threadIdx.x]) % 4] += 1;
  __syncthreads();
  if (threadIdx.x < 4) counts[threadIdx.x] = own[threadIdx.x];
}

bool sum_in_shared_memory_without_atomic() {
  const DeviceArray<int> x(std::vector<int>(64, 1)), counts(4);
  launch(count_kernel, 1u, 64, 0, nullptr, x.data(), counts.data());
  return counts.values()[1] == 64;
}

__global__ void accumulate_kernel(const int* x, int* total) {
  const int sum = cuda::block_sum(x[blockIdx.x * blockDim.x + threadIdx.x]);
  if (threadIdx.x == 0) *total += sum;
}

bool sum_of_blocks_without_atomic() {
  const DeviceArray<int> x(std::vector<int>(8 * 32, 1)), total(std::vector<int>{0});
  launch(accumulate_kernel, 8u, 32, 0, nullptr, x.data(), total.data());
  return total.values()[0] == 8 * 32;
}

__global__ void overlapping_kernel(const int* x, int* y, int per_block) {
  // <= takes the first element of the next block as well
  for (int i = static_cast<int>(threadIdx.x); i <= per_block; i += static_cast<int>(blockDim.x)) {
    const int at = static_cast<int>(blockIdx.x) * per_block + i;
    y[at] = 2 * x[at];
  }
}

bool two_blocks_write_one_output() {
  const std::vector<int> a = whole_numbers<int>(129);
  const DeviceArray<int> x(a), y(129);
  launch(overlapping_kernel, 4u, 32, 0, nullptr, x.data(), y.data(), 32);
  return y.values()[128] == 2 * a[128];
}

__global__ void in_place_kernel(int* x) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  x[i] += i + 1 < gridDim.x * blockDim.x ? x[i + 1] : 0;  // of before, or of after?
}

bool stencil_in_place() {
  std::vector<int> a = whole_numbers<int>(128);
  const DeviceArray<int> x(a);
  launch(in_place_kernel, 4u, 32, 0, nullptr, x.data());
  for (std::size_t i = 0; i + 1 < a.size(); ++i) a[i] += a[i + 1];
  return x.values() == a;
}

__global__ void last_block_kernel(const int* x, int* partial, unsigned* finished, int* total) {
  __shared__ bool last;
  const int sum = cuda::block_sum(x[blockIdx.x * blockDim.x + threadIdx.x]);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
    last = atomicAdd(finished, 1u) == gridDim.x - 1;  // without __threadfence, the counter may be seen before the sum
  }
  __syncthreads();
  if (!last || threadIdx.x > 0) return;
  *total = 0;
  for (unsigned i = 0; i < gridDim.x; ++i) *total += partial[i];
}

bool missing_threadfence() {
  const DeviceArray<int> x(std::vector<int>(4 * 32, 1)), partial(4), total(1);
  const DeviceArray<unsigned> finished(std::vector<unsigned>{0});
  launch(last_block_kernel, 4u, 32, 0, nullptr, x.data(), partial.data(), finished.data(), total.data());
  return total.values()[0] == 4 * 32;
}

__global__ void divergent_kernel(int* y) {
  if (threadIdx.x < 32) {
    y[threadIdx.x] = 1;
    __syncthreads();
  } else {
    __syncthreads();
    y[threadIdx.x] = 2;
  }
}

bool divergent_barrier() {
  const DeviceArray<int> y(64);
  launch(divergent_kernel, 1u, 64, 0, nullptr, y.data());
  return true;
}

__global__ void early_return_kernel(int* y, unsigned n) {
  if (threadIdx.x >= n) return;
  y[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] += y[n - 1 - threadIdx.x] > 0;
}

bool return_before_a_barrier() {
  const DeviceArray<int> y(50);
  launch(early_return_kernel, 1u, 64, 0, nullptr, y.data(), 50u);
  return true;
}

__global__ void barrier_in_a_loop_kernel(int* y, unsigned n) {
  for (unsigned i = threadIdx.x; i < n; i += blockDim.x) {  // not the same number of rounds for all
    y[i] = 1;
    __syncthreads();
  }
}

bool barrier_in_an_uneven_loop() {
  const DeviceArray<int> y(100);
  launch(barrier_in_a_loop_kernel, 1u, 64, 0, nullptr, y.data(), 100u);
  return true;
}

__global__ void shuffle_of_some_kernel(int* y) {
  if (threadIdx.x >= 20) return;
  y[threadIdx.x] = __shfl_down_sync(0xFFFFFFFFu, static_cast<int>(threadIdx.x), 1);
}

bool mask_names_absent_lanes() {
  const DeviceArray<int> y(20);
  launch(shuffle_of_some_kernel, 1u, 32, 0, nullptr, y.data());
  return true;
}

__global__ void shuffle_outside_kernel(int* y) {
  y[threadIdx.x] = __shfl_xor_sync(0x0000FFFFu, static_cast<int>(threadIdx.x), 1);
}

bool mask_lacks_the_caller() {
  const DeviceArray<int> y(32);
  launch(shuffle_outside_kernel, 1u, 32, 0, nullptr, y.data());
  return true;
}

__global__ void warp_sum_kernel(const int* x, int* y) {
  const int sum = cuda::warp_sum(x[threadIdx.x]);
  if (threadIdx.x == 0) *y = sum;
}

bool block_is_no_multiple_of_a_warp() {
  const DeviceArray<int> x(whole_numbers<int>(48)), y(1);
  launch(warp_sum_kernel, 1u, 48, 0, nullptr, x.data(), y.data());
  return true;
}

__global__ void shuffle_from_outside_kernel(int* y) {
  int value = static_cast<int>(threadIdx.x);
  if (threadIdx.x < 16) value = __shfl_down_sync(0x0000FFFFu, value, 4);  // lane 15 reads lane 19
  y[threadIdx.x] = value;
}

bool shuffle_from_a_lane_outside_the_mask() {
  const DeviceArray<int> y(32);
  launch(shuffle_from_outside_kernel, 1u, 32, 0, nullptr, y.data());
  const std::vector<int> values = y.values();
  for (int i = 0; i < 16; ++i)
    if (values[static_cast<std::size_t>(i)] != i + 4) return false;
  return true;
}

}  // namespace

const std::vector<PlantedBug>& barrier_bugs() {
  // Whichever comes first: a race has two sides, and the read may come before the memory's first write.
  constexpr const char* too_early = "race|nobody has written yet";
  static const std::vector<PlantedBug> all = {
      {"missing barrier before a reduction", tree_sum<Missing::before>, "wrong result", too_early},
      {"missing barrier inside a reduction", tree_sum<Missing::inside>, "wrong result", "race"},
      {"missing barrier between reductions", between_reductions, "wrong result", too_early},
      {"missing barrier after loading a tile", tile_loop<Missing::before>, "wrong result", too_early},
      {"write after read: missing barrier at the end of a tile", tile_loop<Missing::inside>, "wrong result", "race"},
      {"missing barrier in a transposition", transposition, "wrong result", too_early},
      {"missing __syncwarp", missing_syncwarp, "wrong result", too_early},
      {"racy write without effect", racy_write_without_effect, nullptr, "race"},
      {"+= in shared memory without an atomic", sum_in_shared_memory_without_atomic, nullptr, "race"},
      {"+= of blocks without an atomic", sum_of_blocks_without_atomic, nullptr, "race"},
      {"two blocks write one output", two_blocks_write_one_output, nullptr, "race"},
      {"stencil in place", stencil_in_place, "wrong result", "race"},
      {"missing __threadfence", missing_threadfence, nullptr, "race"},
      {"barrier in divergent code", divergent_barrier, "__syncthreads() at", "__syncthreads() at"},
      {"return before a barrier", return_before_a_barrier, "__syncthreads() at", "__syncthreads() at"},
      {"barrier in a loop of uneven length", barrier_in_an_uneven_loop, "__syncthreads() at", "__syncthreads() at"},
      {"mask names lanes that have left", mask_names_absent_lanes, "names lane", "names lane"},
      {"mask lacks the caller's lane", mask_lacks_the_caller, "not in the mask", "not in the mask"},
      {"block size is no multiple of a warp", block_is_no_multiple_of_a_warp, "names lane", "names lane"},
      {"shuffle from a lane outside the mask", shuffle_from_a_lane_outside_the_mask, "wrong result", "wrong result"},
  };
  return all;
}

}  // namespace actgrad::test
