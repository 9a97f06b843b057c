// CUDA devices for core: memory, copies, the stream. One process works on one device.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "core/device_backend.h"
#include "kernels/cuda/runtime.h"

namespace actgrad::cuda {
namespace {

// A few bytes as a kernel's argument.
struct Payload {
  unsigned char bytes[DeviceBackend::max_store];
};

__global__ void store_kernel(Payload payload, int count, unsigned char* to) {
  const int i = static_cast<int>(threadIdx.x);
  if (i < count) to[i] = payload.bytes[i];
}

// Page-locked memory of one device's reads, and an event. To get and to free such memory waits for the device, so what
// was used once is kept for the next read.
struct Landing {
  int device = 0;
  std::size_t bytes = 0;
  void* memory = nullptr;
  cudaEvent_t done = nullptr;
};
std::vector<Landing>& idle_landings() {
  static auto* const landings = new std::vector<Landing>;  // never destroyed: CUDA may be gone by then
  return *landings;
}

// A copy into page-locked memory, and an event behind it.
class Read final : public PendingRead {
 public:
  Read(int device, const void* from, std::size_t bytes, cudaStream_t stream) : landing_{.device = device} {
    std::vector<Landing>& idle = idle_landings();
    const auto found = std::find_if(idle.begin(), idle.end(),
                                    [&](const Landing& l) { return l.device == device && l.bytes >= bytes; });
    if (found != idle.end()) {
      landing_ = *found;
      idle.erase(found);
    } else {
      landing_.bytes = bytes;
      ACTGRAD_CUDA_CHECK(cudaMallocHost(&landing_.memory, bytes));
      ACTGRAD_CUDA_CHECK(cudaEventCreateWithFlags(&landing_.done, cudaEventDisableTiming));
    }
    ACTGRAD_CUDA_CHECK(cudaMemcpyAsync(landing_.memory, from, bytes, cudaMemcpyDeviceToHost, stream));
    ACTGRAD_CUDA_CHECK(cudaEventRecord(landing_.done, stream));
  }
  ~Read() override {
    cudaEventSynchronize(landing_.done);  // the copy must not write into the next one's memory
    idle_landings().push_back(landing_);
  }
  Read(const Read&) = delete;
  Read& operator=(const Read&) = delete;
  bool ready() override {
    const cudaError_t status = cudaEventQuery(landing_.done);
    if (status == cudaErrorNotReady) return false;
    check(status, "cudaEventQuery", __FILE__, __LINE__);
    return true;
  }
  const void* bytes() const override { return landing_.memory; }

 private:
  Landing landing_;
};

// A CUDA graph, ready to be launched.
class Graph final : public Recording {
 public:
  Graph(cudaGraph_t graph, cudaStream_t stream) : stream_(stream) {
    ACTGRAD_CUDA_CHECK(cudaGraphInstantiateWithFlags(&executable_, graph, 0));
    ACTGRAD_CUDA_CHECK(cudaGraphDestroy(graph));
  }
  ~Graph() override { cudaGraphExecDestroy(executable_); }
  void replay() override { ACTGRAD_CUDA_CHECK(cudaGraphLaunch(executable_, stream_)); }

 private:
  cudaGraphExec_t executable_ = nullptr;
  cudaStream_t stream_;
};

constexpr int oldest_capability = 80;  // Ampere: what the kernels are compiled for

// What the runtime says about a failure, as a person reads it.
std::string reason(cudaError_t status) {
  return cudaGetErrorString(status);
}

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// Why the runtime cannot work with the driver.
std::string about_driver() {
  int driver = 0;
  cudaDriverGetVersion(&driver);  // 0: there is none
  if (driver == 0) return "no CUDA driver is installed";
  return "the driver offers CUDA " + version_text(driver) + ", this build needs " + version_text(CUDART_VERSION);
}

class Backend final : public DeviceBackend {
 public:
  Backend() { detail::register_backend(*this); }

  int device_count() override {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaErrorNoDevice) return 0;
    if (status == cudaErrorInsufficientDriver) throw UserError(about_driver());
    if (status != cudaSuccess) throw UserError(reason(status));
    return count;
  }

  std::string description(int device) override {
    const cudaDeviceProp properties = properties_of(device);
    int driver = 0;
    ACTGRAD_CUDA_CHECK(cudaDriverGetVersion(&driver));
    return std::string(properties.name) + ", " + std::to_string(properties.totalGlobalMem >> 30) +
           " GiB, compute capability " + std::to_string(properties.major) + "." + std::to_string(properties.minor) +
           ", CUDA " + version_text(driver);
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
  bool emulated() const override {
    return true;
  }
  // The emulator sees what goes behind a tensor's end, and who uses freed memory. A captured graph needs the cache,
  // for nothing can be allocated during a capture. To give memory back waits for the work of lazy streams.
  bool keeps_memory() const override {
    return std::getenv("ACTGRAD_EMULATOR_KEEPS_MEMORY") || std::getenv("ACTGRAD_EMULATOR_LAZY");
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
  void copy_within(void* to, const void* from, std::size_t bytes) override {
    ACTGRAD_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()));
  }
  void fill_zero(void* memory, std::size_t bytes) override {
    ACTGRAD_CUDA_CHECK(cudaMemsetAsync(memory, 0, bytes, stream()));
  }
  void store(void* to, const void* from, std::size_t bytes) override {
    ACTGRAD_CHECK(bytes <= max_store, "too much for a kernel's argument");
    Payload payload{};
    std::memcpy(payload.bytes, from, bytes);
    launch(store_kernel, 1u, max_store, 0, stream(), payload, static_cast<int>(bytes), static_cast<unsigned char*>(to));
  }
  std::unique_ptr<PendingRead> read_later(const void* from, std::size_t bytes) override {
    return std::make_unique<Read>(device_, from, bytes, stream());
  }

  std::unique_ptr<Recording> record(const std::function<void()>& work) override {
    ACTGRAD_CUDA_CHECK(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal));
    cudaGraph_t graph = nullptr;
    try {
      work();
    } catch (...) {
      cudaStreamEndCapture(stream(), &graph);
      if (graph) cudaGraphDestroy(graph);
      throw;
    }
    ACTGRAD_CUDA_CHECK(cudaStreamEndCapture(stream(), &graph));
    return std::make_unique<Graph>(graph, stream());
  }

  std::uint64_t launches() const override {
    return cuda::launches.load(std::memory_order_relaxed);
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
