// CUDA devices for core: memory, copies, the stream. One process works on one device.
#include <cstdlib>
#include <string>

#include "core/device_backend.h"
#include "kernels/cuda/runtime.h"

namespace actgrad::cuda {
namespace {

constexpr int oldest_capability = 80;  // Ampere: what the kernels are compiled for

// What the runtime says about a failure, as a person reads it.
std::string reason(cudaError_t status) {
  return cudaGetErrorString(status);
}

class Backend final : public DeviceBackend {
 public:
  Backend() { detail::register_backend(*this); }

  int device_count() override {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaErrorNoDevice) return 0;
    if (status != cudaSuccess) throw UserError(reason(status));  // no driver, or one that is too old
    return count;
  }

  std::string description(int device) override {
    const cudaDeviceProp properties = properties_of(device);
    int driver = 0;
    ACTGRAD_CUDA_CHECK(cudaDriverGetVersion(&driver));
    return std::string(properties.name) + ", " + std::to_string(properties.totalGlobalMem >> 30) +
           " GiB, compute capability " + std::to_string(properties.major) + "." + std::to_string(properties.minor) +
           ", CUDA " + std::to_string(driver / 1000) + "." + std::to_string(driver % 1000 / 10);
  }

  void select(int device) override {
    const cudaDeviceProp properties = properties_of(device);
    if (properties.major * 10 + properties.minor < oldest_capability)
      throw UserError(std::string(properties.name) + " has compute capability " + std::to_string(properties.major) +
                      "." + std::to_string(properties.minor) + ", older than 8.0");
    const cudaError_t status = cudaSetDevice(device);
    if (status != cudaSuccess) throw UserError(reason(status));
    if (device == device_) return;
    if (stream_) ACTGRAD_CUDA_CHECK(cudaStreamDestroy(stream_));
    ACTGRAD_CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    device_ = device;
    multiprocessors_ = properties.multiProcessorCount;
  }

#ifdef ACTGRAD_CUDA_EMULATOR
  // The emulator sees what goes behind a tensor's end, and who uses freed memory. A captured graph needs the cache,
  // for nothing can be allocated during a capture.
  bool keeps_memory() const override {
    return std::getenv("ACTGRAD_EMULATOR_KEEPS_MEMORY") != nullptr;
  }
#endif

  void* allocate(int, std::size_t bytes) override {
    void* memory = nullptr;
    const cudaError_t status = cudaMalloc(&memory, bytes);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // not sticky: forget it
      return nullptr;
    }
    check(status, "cudaMalloc", __FILE__, __LINE__);
    return memory;
  }
  void deallocate(int, void* memory) noexcept override {
    cudaFree(memory);
  }  // waits for the device by itself

  void copy(void* to, const void* from, std::size_t bytes) override {
    ACTGRAD_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream()));
    ACTGRAD_CUDA_CHECK(cudaStreamSynchronize(stream()));
  }
  void fill_zero(void* memory, std::size_t bytes) override {
    ACTGRAD_CUDA_CHECK(cudaMemsetAsync(memory, 0, bytes, stream()));
  }
  void synchronize() override {
    ACTGRAD_CUDA_CHECK(cudaStreamSynchronize(stream()));
  }

  cudaStream_t stream() {
    ACTGRAD_CHECK(stream_, "no CUDA device was selected");
    return stream_;
  }
  int device() const {
    return device_;
  }
  int multiprocessors() const {
    return multiprocessors_;
  }

 private:
  static cudaDeviceProp properties_of(int device) {
    cudaDeviceProp properties;
    ACTGRAD_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
    return properties;
  }

  int device_ = -1, multiprocessors_ = 1;
  cudaStream_t stream_ = nullptr;
};

Backend& backend() {
  static Backend* const instance = new Backend;  // never destroyed: tensors may be freed after every static object
  return *instance;
}
[[maybe_unused]] Backend& registered = backend();

}  // namespace

cudaStream_t stream() {
  return backend().stream();
}
int current_device() {
  return backend().device();
}
int multiprocessors() {
  return backend().multiprocessors();
}

}  // namespace actgrad::cuda
