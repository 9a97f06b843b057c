// The CUDA runtime's memory management: allocation, copies and fills, each checked against the allocations that exist.
#include <cstring>
#include <mutex>
#include <vector>

#include "test/cuda_emulator/checker.h"
#include "test/cuda_emulator/emulator.h"
#include "test/cuda_emulator/failures.h"
#include "test/cuda_emulator/memory.h"
#include "test/cuda_emulator/stream.h"

namespace actgrad::cuda_emulator {
namespace {

using Lock = std::lock_guard<std::recursive_mutex>;

cudaError_t allocate(void** pointer, std::size_t bytes, Allocation::Kind kind) {
  const Lock lock(device_mutex());
  *pointer = nullptr;
  if (const cudaError_t error = failures::sticky()) return remember(error);
  if (const cudaError_t error = refuse_during_capture()) return remember(error);
  if (bytes == 0) return cudaSuccess;
  *pointer = Memory::instance().allocate(bytes, kind);
  return remember(*pointer != nullptr ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t release(void* pointer) {
  const Lock lock(device_mutex());
  if (pointer == nullptr) return cudaSuccess;
  if (const cudaError_t error = refuse_during_capture()) return remember(error);
  if (const cudaError_t error = settle()) return remember(error);  // the runtime waits here too
  return remember(Memory::instance().release(pointer) ? cudaSuccess : cudaErrorInvalidValue);
}

// Whether [pointer, pointer + bytes) may be what the copy's direction says it is.
bool plausible(const void* pointer, std::size_t bytes, bool on_device, bool on_host) {
  Memory& memory = Memory::instance();
  const Allocation* found = memory.find(pointer);
  if (found == nullptr) return on_host && memory.describe(pointer).empty();
  if (found->kind == Allocation::Kind::device && !on_device) return false;
  return memory.contains(pointer, bytes);
}

cudaError_t copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  if (bytes == 0) return cudaSuccess;
  const bool guess = kind == cudaMemcpyDefault;
  const bool to_device = guess || kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = guess || kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (!plausible(to, bytes, to_device, guess || !to_device)) return cudaErrorInvalidValue;
  if (!plausible(from, bytes, from_device, guess || !from_device)) return cudaErrorInvalidValue;
  std::memmove(to, from, bytes);
  checker::written(to, bytes);
  return cudaSuccess;
}

cudaError_t fill(void* pointer, int value, std::size_t bytes) {
  if (bytes == 0) return cudaSuccess;
  if (!Memory::instance().contains(pointer, bytes)) return cudaErrorInvalidValue;
  std::memset(pointer, value, bytes);
  checker::written(pointer, bytes);
  return cudaSuccess;
}

cudaError_t copy_rows(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, std::size_t width,
                      std::size_t height, cudaMemcpyKind kind) {
  for (std::size_t row = 0; row < height; ++row) {
    const cudaError_t error =
        copy(static_cast<char*>(to) + row * to_pitch, static_cast<const char*>(from) + row * from_pitch, width, kind);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

// Memory of the host's that the runtime did not lock.
bool is_pageable(const void* pointer) {
  return Memory::instance().find(pointer) == nullptr;
}
bool is_captured(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  cudaStreamIsCapturing(stream, &status);
  return status != cudaStreamCaptureStatusNone;
}

// The calls that wait for the result are no part of a graph.
cudaError_t now(Operation operation) {
  const Lock lock(device_mutex());
  if (const cudaError_t error = refuse_during_capture()) return remember(error);
  if (const cudaError_t error = settle()) return remember(error);
  const DeviceAccess access;
  return remember(operation());
}

}  // namespace
}  // namespace actgrad::cuda_emulator

using namespace actgrad::cuda_emulator;
using Kind = Allocation::Kind;

extern "C" {

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  return allocate(pointer, bytes, Kind::device);
}
cudaError_t cudaMallocAsync(void** pointer, std::size_t bytes, cudaStream_t) {
  return allocate(pointer, bytes, Kind::device);
}
cudaError_t cudaMallocManaged(void** pointer, std::size_t bytes, unsigned) {
  return allocate(pointer, bytes, Kind::managed);
}
cudaError_t cudaHostAlloc(void** pointer, std::size_t bytes, unsigned) {
  return allocate(pointer, bytes, Kind::pinned);
}
cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
  return allocate(pointer, bytes, Kind::pinned);
}
cudaError_t cudaFree(void* pointer) {
  return release(pointer);
}
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t) {
  return release(pointer);
}
cudaError_t cudaFreeHost(void* pointer) {
  return release(pointer);
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return now([=] { return copy(to, from, bytes, kind); });
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const Lock lock(device_mutex());
  const bool from_pageable = is_pageable(from), to_pageable = is_pageable(to);
  if (lazy() && from_pageable && !to_pageable && !is_captured(stream)) {  // the runtime takes a copy before it returns
    const auto* const first = static_cast<const char*>(from);
    return enqueue(
        stream, [=, staged = std::vector<char>(first, first + bytes)] { return copy(to, staged.data(), bytes, kind); });
  }
  const cudaError_t error = enqueue(stream, [=] { return copy(to, from, bytes, kind); });
  if (error != cudaSuccess || !to_pageable || is_captured(stream)) return error;
  return remember(settle());  // and waits for what goes into such memory
}
cudaError_t cudaMemcpy2D(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, std::size_t width,
                         std::size_t height, cudaMemcpyKind kind) {
  return now([=] { return copy_rows(to, to_pitch, from, from_pitch, width, height, kind); });
}
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  return enqueue(stream, [=] { return copy_rows(to, to_pitch, from, from_pitch, width, height, kind); });
}
cudaError_t cudaMemset(void* pointer, int value, std::size_t bytes) {
  return now([=] { return fill(pointer, value, bytes); });
}
cudaError_t cudaMemsetAsync(void* pointer, int value, std::size_t bytes, cudaStream_t stream) {
  return enqueue(stream, [=] { return fill(pointer, value, bytes); });
}

// __constant__ and __device__ variables are the program's own: a symbol is its address.
cudaError_t cudaMemcpyToSymbol(const void* symbol, const void* from, std::size_t bytes, std::size_t offset,
                               cudaMemcpyKind) {
  return now([=] {
    std::memcpy(const_cast<char*>(static_cast<const char*>(symbol)) + offset, from, bytes);
    return cudaSuccess;
  });
}
cudaError_t cudaMemcpyFromSymbol(void* to, const void* symbol, std::size_t bytes, std::size_t offset, cudaMemcpyKind) {
  return now([=] {
    std::memcpy(to, static_cast<const char*>(symbol) + offset, bytes);
    return cudaSuccess;
  });
}
cudaError_t cudaGetSymbolAddress(void** pointer, const void* symbol) {
  *pointer = const_cast<void*>(symbol);
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const Lock lock(device_mutex());
  *total = Memory::size;
  *free = *total - std::min(*total, Memory::instance().used());
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  const Lock lock(device_mutex());
  *attributes = {};
  attributes->device = -1;
  attributes->type = cudaMemoryTypeUnregistered;
  attributes->hostPointer = const_cast<void*>(pointer);
  const Allocation* found = Memory::instance().find(pointer);
  if (found == nullptr) return cudaSuccess;
  attributes->device = 0;
  attributes->devicePointer = const_cast<void*>(pointer);
  attributes->type = found->kind == Kind::device    ? cudaMemoryTypeDevice
                     : found->kind == Kind::managed ? cudaMemoryTypeManaged
                                                    : cudaMemoryTypeHost;
  if (found->kind == Kind::device) attributes->hostPointer = nullptr;
  return cudaSuccess;
}

}  // extern "C"
