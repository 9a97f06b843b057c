#include "kernels/cuda/solver.h"

#include <cusolverDn.h>

#include <string>
#include <type_traits>

#include "kernels/cuda/runtime.h"

#if CUSOLVER_VERSION < 11701
#error "cuSOLVER is older than 11.7.1, which comes with CUDA 12.6 update 2"
#endif

namespace actgrad::cuda {
namespace {

void check(cusolverStatus_t status, const char* call, int line) {
  if (status == CUSOLVER_STATUS_SUCCESS) return;
  throw InternalError(std::string(__FILE__) + ":" + std::to_string(line) + ": " + call + ": cuSOLVER status " +
                      std::to_string(static_cast<int>(status)));
}
#define ACTGRAD_CUSOLVER_CHECK(call) check((call), #call, __LINE__)

// The handle of the current device, for the current stream. Never destroyed: CUDA may be gone at the end of the
// program.
struct Solver {
  cusolverDnHandle_t handle = nullptr;
  cusolverDnParams_t parameters = nullptr;  // the defaults; results are reproducible
  int device = -1;
};

const Solver& solver() {
  static Solver instance;
  if (instance.device != current_device()) {
    if (instance.handle) ACTGRAD_CUSOLVER_CHECK(cusolverDnDestroy(instance.handle));
    ACTGRAD_CUSOLVER_CHECK(cusolverDnCreate(&instance.handle));
    if (!instance.parameters) ACTGRAD_CUSOLVER_CHECK(cusolverDnCreateParams(&instance.parameters));
    instance.device = current_device();
  }
  ACTGRAD_CUSOLVER_CHECK(cusolverDnSetStream(instance.handle, stream()));
  return instance;
}

template <class T>
constexpr cudaDataType type = std::is_same_v<T, double> ? CUDA_R_64F : CUDA_R_32F;
constexpr cublasFillMode_t triangle = CUBLAS_FILL_MODE_LOWER;  // by columns; by rows the upper one

}  // namespace

void* SolverBuffers::on_device(std::size_t bytes) {
  device_.push_back(Tensor::empty({static_cast<std::int64_t>(bytes)}, DType::uint8, this_device()));
  return device_.back().raw();
}

void* SolverBuffers::on_host(std::size_t bytes) {
  host_.emplace_back(bytes);
  return host_.back().data();
}

template <class T>
void solve_positive_definite(std::int64_t n, T* a, std::int64_t count, T* x, int* info, SolverBuffers& buffers) {
  const auto& [handle, parameters, device] = solver();
  std::size_t device_bytes = 0, host_bytes = 0;
  ACTGRAD_CUSOLVER_CHECK(
      cusolverDnXpotrf_bufferSize(handle, parameters, triangle, n, type<T>, a, n, type<T>, &device_bytes, &host_bytes));
  ACTGRAD_CUSOLVER_CHECK(cusolverDnXpotrf(handle, parameters, triangle, n, type<T>, a, n, type<T>,
                                          buffers.on_device(device_bytes), device_bytes, buffers.on_host(host_bytes),
                                          host_bytes, info));
  int* const arguments = static_cast<int*>(buffers.on_device(sizeof(int)));  // potrs complains of nothing else
  ACTGRAD_CUSOLVER_CHECK(
      cusolverDnXpotrs(handle, parameters, triangle, n, count, type<T>, a, n, type<T>, x, n, arguments));
}

template <class T>
void decompose_symmetric(std::int64_t count, std::int64_t n, T* a, T* values, int* info, SolverBuffers& buffers) {
  const auto& [handle, parameters, device] = solver();
  constexpr cusolverEigMode_t mode = CUSOLVER_EIG_MODE_VECTOR;
  std::size_t device_bytes = 0, host_bytes = 0;
  ACTGRAD_CUSOLVER_CHECK(cusolverDnXsyevBatched_bufferSize(handle, parameters, mode, triangle, n, type<T>, a, n,
                                                           type<T>, values, type<T>, &device_bytes, &host_bytes,
                                                           count));
  ACTGRAD_CUSOLVER_CHECK(cusolverDnXsyevBatched(handle, parameters, mode, triangle, n, type<T>, a, n, type<T>, values,
                                                type<T>, buffers.on_device(device_bytes), device_bytes,
                                                buffers.on_host(host_bytes), host_bytes, info, count));
}

template void solve_positive_definite<float>(std::int64_t, float*, std::int64_t, float*, int*, SolverBuffers&);
template void solve_positive_definite<double>(std::int64_t, double*, std::int64_t, double*, int*, SolverBuffers&);
template void decompose_symmetric<float>(std::int64_t, std::int64_t, float*, float*, int*, SolverBuffers&);
template void decompose_symmetric<double>(std::int64_t, std::int64_t, double*, double*, int*, SolverBuffers&);

}  // namespace actgrad::cuda
