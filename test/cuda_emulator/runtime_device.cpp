// The CUDA runtime's device: one, "actgrad emulator", with the limits of compute capability 8.0. And launches, as they
// are refused or accepted there.
#include <cuda_runtime_api.h>

#include <cstring>
#include <map>
#include <mutex>

#include "test/cuda_emulator/failures.h"
#include "test/cuda_emulator/launch.h"
#include "test/cuda_emulator/memory.h"
#include "test/cuda_emulator/stream.h"
#include "test/cuda_emulator/workers.h"

namespace actgrad::cuda_emulator {
namespace {

constexpr int processors = 4;  // few: kernels that size their grids by it stay small
constexpr int most_threads_per_block = 1024;
constexpr int most_threads_per_processor = 2048;
constexpr int shared_per_block = 48 << 10;
constexpr int shared_per_block_on_request = 163 << 10;
constexpr int shared_per_processor = 164 << 10;

thread_local cudaError_t last_error = cudaSuccess;

std::map<const void*, int>& requested_shared() {
  static auto* map = new std::map<const void*, int>;
  return *map;
}

cudaError_t check_shape(const Shape& shape, const void* function) {
  const auto& [grid, block, shared_bytes] = shape;
  const bool sane = block.x >= 1 && block.y >= 1 && block.z >= 1 && block.x <= 1024 && block.y <= 1024 &&
                    block.z <= 64 && std::size_t{block.x} * block.y * block.z <= most_threads_per_block &&
                    grid.x >= 1 && grid.y >= 1 && grid.z >= 1 && grid.x <= 0x7FFFFFFFu && grid.y <= 65535 &&
                    grid.z <= 65535;
  if (!sane) return cudaErrorInvalidConfiguration;
  const auto requested = requested_shared().find(function);
  const int limit = requested == requested_shared().end() ? shared_per_block : requested->second;
  return shared_bytes <= static_cast<std::size_t>(limit) ? cudaSuccess : cudaErrorInvalidValue;
}

}  // namespace

cudaError_t remember(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

cudaError_t launch(const Shape& shape, cudaStream_t stream, std::shared_ptr<const KernelCall> call) {
  const std::lock_guard lock(device_mutex());
  const cudaError_t error = check_shape(shape, call->function());
  if (error != cudaSuccess) return remember(error);
  return enqueue(stream, [shape, call = std::move(call)] {
    failures::before_kernel();
    if (failures::sticky() == cudaSuccess) run_kernel(shape, call);
    return cudaSuccess;  // what a kernel does wrong is seen later
  });
}

}  // namespace actgrad::cuda_emulator

using namespace actgrad::cuda_emulator;

extern "C" {

cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}
cudaError_t cudaPeekAtLastError() {
  return last_error;
}

#define ACTGRAD_ERRORS(ERROR)                                                                                  \
  ERROR(cudaSuccess, "no error")                                                                               \
  ERROR(cudaErrorInvalidValue, "invalid argument")                                                             \
  ERROR(cudaErrorMemoryAllocation, "out of memory")                                                            \
  ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument")                                       \
  ERROR(cudaErrorInvalidDevice, "invalid device ordinal")                                                      \
  ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected")                                               \
  ERROR(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version")           \
  ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered")                                   \
  ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle")                                             \
  ERROR(cudaErrorNotSupported, "operation not supported")                                                      \
  ERROR(cudaErrorIllegalState, "the operation cannot be performed in the present state")                       \
  ERROR(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing")                 \
  ERROR(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture")          \
  ERROR(cudaErrorStreamCaptureMerge, "operation would result in a merge of separate capture sequences")        \
  ERROR(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began")               \
  ERROR(cudaErrorStreamCaptureImplicit, "operation would make the legacy stream depend on a capturing stream") \
  ERROR(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream")

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
#define ERROR(name, text) \
  case name: return #name;
    ACTGRAD_ERRORS(ERROR)
#undef ERROR
    default: return "a CUDA error that the emulator never gives";
  }
}
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
#define ERROR(name, text) \
  case name: return text;
    ACTGRAD_ERRORS(ERROR)
#undef ERROR
    default: return "a CUDA error that the emulator never gives";
  }
}

cudaError_t cudaGetDeviceCount(int* count) {
  const cudaError_t error = failures::device_count_error();
  *count = error == cudaSuccess ? 1 : 0;
  return remember(error);
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  return remember(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}
cudaError_t cudaDeviceReset() {
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  const bool old = failures::device_count_error() == cudaErrorInsufficientDriver;
  *version = failures::no_driver() ? 0 : old ? 11040 : CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return remember(cudaErrorInvalidDevice);
  *properties = {};
  std::strcpy(properties->name, "actgrad emulator");
  properties->totalGlobalMem = Memory::size;
  properties->sharedMemPerBlock = shared_per_block;
  properties->sharedMemPerBlockOptin = shared_per_block_on_request;
  properties->sharedMemPerMultiprocessor = shared_per_processor;
  properties->regsPerBlock = properties->regsPerMultiprocessor = 65536;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = most_threads_per_block;
  properties->maxThreadsPerMultiProcessor = most_threads_per_processor;
  properties->maxBlocksPerMultiProcessor = 32;
  const int block[] = {1024, 1024, 64}, grid[] = {0x7FFFFFFF, 65535, 65535};
  std::memcpy(properties->maxThreadsDim, block, sizeof(block));
  std::memcpy(properties->maxGridSize, grid, sizeof(grid));
  properties->major = 8;
  properties->minor = 0;
  failures::set_capability(properties->major, properties->minor);
  properties->multiProcessorCount = processors;
  properties->l2CacheSize = 1 << 20;
  properties->totalConstMem = 64 << 10;
  properties->unifiedAddressing = properties->managedMemory = 1;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (device != 0) return remember(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock: *value = most_threads_per_block; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = most_threads_per_processor; break;
    case cudaDevAttrMultiProcessorCount: *value = processors; break;
    case cudaDevAttrWarpSize: *value = 32; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = shared_per_block; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = shared_per_block_on_request; break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = shared_per_processor; break;
    case cudaDevAttrComputeCapabilityMajor: *value = 8; break;
    case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
    case cudaDevAttrL2CacheSize: *value = 1 << 20; break;
    case cudaDevAttrMemoryPoolsSupported: *value = 1; break;
    default: return remember(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  const std::lock_guard lock(device_mutex());
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || value > shared_per_block_on_request) return remember(cudaErrorInvalidValue);
  requested_shared()[function] = value;
  return cudaSuccess;
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  const std::lock_guard lock(device_mutex());
  const auto requested = requested_shared().find(function);
  *attributes = {};
  attributes->maxThreadsPerBlock = most_threads_per_block;
  attributes->maxDynamicSharedSizeBytes = requested == requested_shared().end() ? shared_per_block : requested->second;
  attributes->numRegs = 32;
  return cudaSuccess;
}
cudaError_t cudaFuncSetCacheConfig(const void*, cudaFuncCache) {
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int block_size, std::size_t) {
  if (block_size < 1 || block_size > most_threads_per_block) return remember(cudaErrorInvalidValue);
  *blocks = most_threads_per_processor / block_size;
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void* function, int block_size,
                                                                   std::size_t shared_bytes, unsigned) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, function, block_size, shared_bytes);
}

}  // extern "C"
