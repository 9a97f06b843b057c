#include "test/cuda_emulator_test/workloads.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/cuda/reduce.cuh"
#include "test/cuda_emulator_test/device_array.h"

namespace actgrad::test {
namespace {

using cuda::launch;

__global__ void add_kernel(const float* a, const float* b, float* c, int n) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < static_cast<unsigned>(n)) c[i] = a[i] + b[i];
}

bool vector_add() {
  const int n = 1000;
  const std::vector<float> a = whole_numbers(n), b(n, 2.5f);
  const DeviceArray<float> x(a), y(b), z(n);
  launch(add_kernel, blocks_of(128, n), 128, 0, nullptr, x.data(), y.data(), z.data(), n);
  std::vector<float> expected = a;
  for (float& value : expected) value += 2.5f;
  return z.values() == expected;
}

__global__ void scale4_kernel(float4* x, float factor, int packs) {
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < static_cast<unsigned>(packs);
       i += gridDim.x * blockDim.x) {
    float4 v = x[i];
    v.x *= factor, v.y *= factor, v.z *= factor, v.w *= factor;
    x[i] = v;
  }
}

bool wide_accesses() {
  const std::vector<float> a = whole_numbers(4 * 300);
  const DeviceArray<float> x(a);
  launch(scale4_kernel, 2u, 64, 0, nullptr, reinterpret_cast<float4*>(x.data()), 3.0f, 300);
  std::vector<float> expected = a;
  for (float& value : expected) value *= 3;
  return x.values() == expected;
}

// Two sums in a row through the same shared memory.
__global__ void sums_kernel(const float* x, int n, float* sum, float* sum_of_squares) {
  float a = 0, b = 0;
  for (unsigned i = threadIdx.x; i < static_cast<unsigned>(n); i += blockDim.x) a += x[i], b += x[i] * x[i];
  a = cuda::block_sum(a);
  b = cuda::block_sum(b);
  if (threadIdx.x == 0) *sum = a, *sum_of_squares = b;
}

bool block_sums() {
  const std::vector<float> a = whole_numbers(1000);
  const DeviceArray<float> x(a), sum(1), squares(1);
  launch(sums_kernel, 1u, 256, 0, nullptr, x.data(), 1000, sum.data(), squares.data());
  float expected = 0, expected_squares = 0;
  for (const float value : a) expected += value, expected_squares += value * value;
  return sum.values()[0] == expected && squares.values()[0] == expected_squares;
}

__global__ void tree_kernel(const int* x, int* sums) {
  __shared__ int part[128];
  part[threadIdx.x] = x[blockIdx.x * 128 + threadIdx.x];
  for (unsigned half = 64; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
  }
  if (threadIdx.x == 0) sums[blockIdx.x] = part[0];
}

bool tree_sum() {
  const std::vector<int> a = whole_numbers<int>(5 * 128);
  const DeviceArray<int> x(a), sums(5);
  launch(tree_kernel, 5u, 128, 0, nullptr, x.data(), sums.data());
  const std::vector<int> parts = sums.values();
  return std::accumulate(parts.begin(), parts.end(), 0) == std::accumulate(a.begin(), a.end(), 0);
}

// The block that finishes last adds up what the others have left.
__global__ void last_block_kernel(const float* x, int n, float* partial, unsigned* finished, float* total) {
  float sum = 0;
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < static_cast<unsigned>(n); i += gridDim.x * blockDim.x)
    sum += x[i];
  sum = cuda::block_sum(sum);
  __shared__ bool last;
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
    __threadfence();
    last = atomicAdd(finished, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (!last) return;
  sum = 0;
  for (unsigned i = threadIdx.x; i < gridDim.x; i += blockDim.x) sum += partial[i];
  sum = cuda::block_sum(sum);
  if (threadIdx.x == 0) *total = sum;
}

bool last_block_sum() {
  const std::vector<float> a = whole_numbers(3000);
  const DeviceArray<float> x(a), partial(9), total(1);
  const DeviceArray<unsigned> finished(std::vector<unsigned>{0});
  launch(last_block_kernel, 9u, 64, 0, nullptr, x.data(), 3000, partial.data(), finished.data(), total.data());
  return total.values()[0] == std::accumulate(a.begin(), a.end(), 0.0f);
}

// Every thread writes and fences for itself; the barrier then speaks for all.
__global__ void fence_by_all_kernel(int* partial, unsigned* finished, int* total) {
  partial[blockIdx.x * blockDim.x + threadIdx.x] = static_cast<int>(threadIdx.x);
  __threadfence();
  __syncthreads();
  __shared__ bool last;
  if (threadIdx.x == 0) last = atomicAdd(finished, 1u) == gridDim.x - 1;
  __syncthreads();
  if (last && threadIdx.x == 0) {
    int sum = 0;
    for (unsigned i = 0; i < gridDim.x * blockDim.x; ++i) sum += partial[i];
    *total = sum;
  }
}

bool fences_before_a_barrier() {
  const DeviceArray<int> partial(4 * 32), total(1);
  const DeviceArray<unsigned> finished(std::vector<unsigned>{0});
  launch(fence_by_all_kernel, 4u, 32, 0, nullptr, partial.data(), finished.data(), total.data());
  return total.values()[0] == 4 * 31 * 16;
}

constexpr int tile = 8;

__global__ void matmul_kernel(const float* a, const float* b, float* c, int n) {
  ACTGRAD_DYNAMIC_SHARED(float, tiles);
  float *const left = tiles, *const right = tiles + tile * tile;
  const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
  const int column = static_cast<int>(blockIdx.x) * tile + x, row = static_cast<int>(blockIdx.y) * tile + y;
  float sum = 0;
  for (int k = 0; k < n; k += tile) {
    left[y * tile + x] = row < n && k + x < n ? a[row * n + k + x] : 0;
    right[y * tile + x] = column < n && k + y < n ? b[(k + y) * n + column] : 0;
    __syncthreads();
    for (int i = 0; i < tile; ++i) sum += left[y * tile + i] * right[i * tile + x];
    __syncthreads();
  }
  if (row < n && column < n) c[row * n + column] = sum;
}

bool tiled_matmul() {
  const int n = 21;
  const std::vector<float> a = whole_numbers(n * n), b(a.rbegin(), a.rend());
  const DeviceArray<float> x(a), y(b), z(n * n);
  const unsigned blocks = blocks_of(tile, n);
  launch(matmul_kernel, dim3(blocks, blocks), dim3(tile, tile), 2 * tile * tile * sizeof(float), nullptr, x.data(),
         y.data(), z.data(), n);
  const std::vector<float> c = z.values();
  for (int row = 0; row < n; ++row)
    for (int column = 0; column < n; ++column) {
      float sum = 0;
      for (int k = 0; k < n; ++k)
        sum += a[static_cast<std::size_t>(row * n + k)] * b[static_cast<std::size_t>(k * n + column)];
      if (c[static_cast<std::size_t>(row * n + column)] != sum) return false;
    }
  return true;
}

__global__ void transpose_kernel(const double* x, double* y, unsigned rows, unsigned columns) {
  __shared__ double block[16][17];
  unsigned column = blockIdx.x * 16 + threadIdx.x, row = blockIdx.y * 16 + threadIdx.y;
  if (row < rows && column < columns) block[threadIdx.y][threadIdx.x] = x[row * columns + column];
  __syncthreads();
  column = blockIdx.y * 16 + threadIdx.x, row = blockIdx.x * 16 + threadIdx.y;
  if (row < columns && column < rows) y[row * rows + column] = block[threadIdx.x][threadIdx.y];
}

bool transposition() {
  const unsigned rows = 37, columns = 21;
  const std::vector<double> a = whole_numbers<double>(rows * columns);
  const DeviceArray<double> x(a), y(rows * columns);
  launch(transpose_kernel, dim3(blocks_of(16, columns), blocks_of(16, rows)), dim3(16, 16), 0, nullptr, x.data(),
         y.data(), rows, columns);
  const std::vector<double> b = y.values();
  for (unsigned r = 0; r < rows; ++r)
    for (unsigned c = 0; c < columns; ++c)
      if (b[c * rows + r] != a[r * columns + c]) return false;
  return true;
}

// Inclusive scan of a block: in each warp by shuffles, the warps' totals by the first warp.
__global__ void scan_kernel(const int* x, int* y, int n) {
  __shared__ int totals[32];
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int value = threadIdx.x < static_cast<unsigned>(n) ? x[threadIdx.x] : 0;
  for (unsigned distance = 1; distance < 32; distance *= 2) {
    const int left = __shfl_up_sync(0xFFFFFFFFu, value, distance);
    if (lane >= distance) value += left;
  }
  if (lane == 31) totals[warp] = value;
  __syncthreads();
  if (warp == 0) {
    int total = lane < blockDim.x / 32 ? totals[lane] : 0;
    for (unsigned distance = 1; distance < 32; distance *= 2) {
      const int left = __shfl_up_sync(0xFFFFFFFFu, total, distance);
      if (lane >= distance) total += left;
    }
    if (lane < blockDim.x / 32) totals[lane] = total;
  }
  __syncthreads();
  if (warp > 0) value += totals[warp - 1];
  if (threadIdx.x < static_cast<unsigned>(n)) y[threadIdx.x] = value;
}

bool warp_scan() {
  const int n = 300;
  const std::vector<int> a = whole_numbers<int>(n);
  const DeviceArray<int> x(a), y(n);
  launch(scan_kernel, 1u, 320, 0, nullptr, x.data(), y.data(), n);
  std::vector<int> expected(n);
  std::partial_sum(a.begin(), a.end(), expected.begin());
  return y.values() == expected;
}

// The same through shared memory: lanes are ordered by __syncwarp alone.
__global__ void syncwarp_kernel(const int* x, int* y) {
  __shared__ int values[64];
  int* const own = values + threadIdx.x / 32 * 32;
  const unsigned lane = threadIdx.x % 32;
  own[lane] = x[threadIdx.x];
  __syncwarp();
  for (unsigned distance = 1; distance < 32; distance *= 2) {
    const int left = lane >= distance ? own[lane - distance] : 0;
    __syncwarp();
    own[lane] += left;
    __syncwarp();
  }
  y[threadIdx.x] = own[31];
}

bool lanes_through_shared_memory() {
  const std::vector<int> a = whole_numbers<int>(64);
  const DeviceArray<int> x(a), y(64);
  launch(syncwarp_kernel, 1u, 64, 0, nullptr, x.data(), y.data());
  const std::vector<int> b = y.values();
  return b[3] == std::accumulate(a.begin(), a.begin() + 32, 0) && b[40] == std::accumulate(a.begin() + 32, a.end(), 0);
}

__global__ void histogram_kernel(const unsigned char* x, int n, int* counts) {
  __shared__ int own[16];
  if (threadIdx.x < 16) own[threadIdx.x] = 0;
  __syncthreads();
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < static_cast<unsigned>(n); i += gridDim.x * blockDim.x)
    atomicAdd(&own[x[i] % 16], 1);
  __syncthreads();
  if (threadIdx.x < 16) atomicAdd(&counts[threadIdx.x], own[threadIdx.x]);
}

bool histogram() {
  std::vector<unsigned char> a(999);
  std::vector<int> expected(16);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<unsigned char>(i * 37), ++expected[a[i] % 16];
  const DeviceArray<unsigned char> x(a);
  const DeviceArray<int> counts(std::vector<int>(16, 0));
  launch(histogram_kernel, 3u, 64, 0, nullptr, x.data(), 999, counts.data());
  return counts.values() == expected;
}

// Half warps that reduce on their own, votes, and a place in the output by counting bits.
__global__ void compact_kernel(const int* x, int* y, unsigned* count) {
  const unsigned lane = threadIdx.x;
  const bool positive = x[lane] > 0;
  const unsigned votes = __ballot_sync(0xFFFFFFFFu, positive);
  if (positive) y[__popc(votes & ((1u << lane) - 1))] = x[lane];
  const unsigned half = lane < 16 ? 0x0000FFFFu : 0xFFFF0000u;
  const int sum = __reduce_add_sync(half, positive ? 1 : 0);
  if (lane % 16 == 0) count[lane / 16] = static_cast<unsigned>(sum);
  if (__all_sync(half, positive) && __any_sync(half, !positive)) y[0] = -1;  // cannot be
}

bool compaction() {
  const std::vector<int> a = whole_numbers<int>(32);
  std::vector<int> expected;
  std::copy_if(a.begin(), a.end(), std::back_inserter(expected), [](int v) { return v > 0; });
  const DeviceArray<int> x(a), y(32);
  const DeviceArray<unsigned> count(2);
  launch(compact_kernel, 1u, 32, 0, nullptr, x.data(), y.data(), count.data());
  std::vector<int> found = y.values();
  found.resize(expected.size());
  const std::vector<unsigned> counts = count.values();
  return found == expected && counts[0] + counts[1] == expected.size();
}

__global__ void coordinates_kernel(int* out) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  out[block * (blockDim.x * blockDim.y * blockDim.z) + thread] += static_cast<int>(block * 100 + thread);
}

bool three_dimensions() {
  const DeviceArray<int> out(std::vector<int>(24 * 30, 0));
  launch(coordinates_kernel, dim3(2, 3, 4), dim3(5, 3, 2), 0, nullptr, out.data());
  const std::vector<int> values = out.values();
  for (int i = 0; i < 24 * 30; ++i)
    if (values[static_cast<std::size_t>(i)] != i / 30 * 100 + i % 30) return false;
  return true;
}

__constant__ float weights[3] = {0.25f, 0.5f, 0.25f};

__global__ void __launch_bounds__(64) stencil_kernel(const float* __restrict__ x, float* __restrict__ y, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  float sum = 0;
  for (int k = -1; k <= 1; ++k) sum += weights[k + 1] * __ldg(&x[max(0, min(n - 1, i + k))]);
  y[i] = sum;
}

bool stencil() {
  const int n = 200;
  const std::vector<float> a = whole_numbers(n);
  const DeviceArray<float> x(a), y(n), z(n);
  launch(stencil_kernel, blocks_of(64, n), 64, 0, nullptr, x.data(), y.data(), n);
  launch(stencil_kernel, blocks_of(64, n), 64, 0, nullptr, y.data(), z.data(), n);
  const auto blur = [](const std::vector<float>& from, std::size_t i) {
    const float left = from[i == 0 ? 0 : i - 1], right = from[std::min(from.size() - 1, i + 1)];
    return 0.25f * left + 0.5f * from[i] + 0.25f * right;
  };
  std::vector<float> once(n);
  for (std::size_t i = 0; i < n; ++i) once[i] = blur(a, i);
  const std::vector<float> twice = z.values();
  for (std::size_t i = 0; i < n; ++i)
    if (std::abs(twice[i] - blur(once, i)) > 1e-5f) return false;
  return true;
}

}  // namespace

const std::vector<Workload>& workloads() {
  static const std::vector<Workload> all = {
      {"vector add", vector_add},
      {"16-byte accesses", wide_accesses},
      {"two block sums in a row", block_sums},
      {"tree sum", tree_sum},
      {"the last block adds up", last_block_sum},
      {"fences before a barrier", fences_before_a_barrier},
      {"tiled matmul", tiled_matmul},
      {"transposition", transposition},
      {"warp scan", warp_scan},
      {"lanes through shared memory", lanes_through_shared_memory},
      {"histogram", histogram},
      {"compaction", compaction},
      {"three dimensions", three_dimensions},
      {"stencil with constants", stencil},
  };
  return all;
}

}  // namespace actgrad::test
