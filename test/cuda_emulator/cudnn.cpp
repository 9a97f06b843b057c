// The part of cuDNN that actgrad uses, by plain loops: convolutions of NHWC tensors, in float32 or bfloat16. The
// declarations are the toolkit's.
#include <cudnn.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "test/cuda_emulator/emulator.h"
#include "test/cuda_emulator/stream.h"
#include "test/cuda_emulator/tensor_cores.h"

struct cudnnContext {
  cudaStream_t stream = nullptr;
};
struct cudnnTensorStruct {
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  std::int64_t n = 0, h = 0, w = 0, c = 0;  // as they lie in memory
  std::int64_t count() const { return n * h * w * c; }
};
struct cudnnFilterStruct : cudnnTensorStruct {};
struct cudnnConvolutionStruct {
  std::int64_t padding = 0, stride = 1, dilation = 1, groups = 1;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
};

namespace actgrad::cuda_emulator {
namespace {

// As cuDNN does, one algorithm is listed as working and refused when it is called.
constexpr int refused = 1, nondeterministic = 0, usual = 4, unsupported = 5;
constexpr std::size_t workspace_bytes = 64;

struct Problem {
  cudnnTensorStruct x, y;
  cudnnFilterStruct w;
  cudnnConvolutionStruct convolution;
};

// Whether the four descriptions fit each other.
bool consistent(const Problem& p) {
  const auto out = [&](std::int64_t in, std::int64_t kernel) {
    const cudnnConvolutionStruct& c = p.convolution;
    const std::int64_t room = in + 2 * c.padding - c.dilation * (kernel - 1) - 1;
    return room < 0 ? 0 : room / c.stride + 1;
  };
  return p.x.type == p.y.type && p.x.type == p.w.type && p.x.n == p.y.n && p.y.c == p.w.n &&
         p.x.c == p.w.c * p.convolution.groups && p.y.c % p.convolution.groups == 0 && p.y.h == out(p.x.h, p.w.h) &&
         p.y.w == out(p.x.w, p.w.w) && p.y.h > 0 && p.y.w > 0;
}

// Calls f(index in x, index in w, index in y) for every product of which a convolution is a sum.
template <class F>
void for_each_product(const Problem& p, F&& f) {
  const cudnnConvolutionStruct& c = p.convolution;
  const std::int64_t group_out = p.y.c / c.groups;
  for (std::int64_t n = 0; n < p.y.n; ++n)
    for (std::int64_t oy = 0; oy < p.y.h; ++oy)
      for (std::int64_t ox = 0; ox < p.y.w; ++ox)
        for (std::int64_t ky = 0; ky < p.w.h; ++ky)
          for (std::int64_t kx = 0; kx < p.w.w; ++kx) {
            const std::int64_t iy = oy * c.stride + ky * c.dilation - c.padding;
            const std::int64_t ix = ox * c.stride + kx * c.dilation - c.padding;
            if (iy < 0 || iy >= p.x.h || ix < 0 || ix >= p.x.w) continue;
            for (std::int64_t o = 0; o < p.y.c; ++o) {
              const std::int64_t y = ((n * p.y.h + oy) * p.y.w + ox) * p.y.c + o;
              const std::int64_t x = ((n * p.x.h + iy) * p.x.w + ix) * p.x.c + o / group_out * p.w.c;
              const std::int64_t w = ((o * p.w.h + ky) * p.w.w + kx) * p.w.c;
              for (std::int64_t i = 0; i < p.w.c; ++i) f(x + i, w + i, y);
            }
          }
}

float from_bfloat16(std::uint16_t half) {
  const std::uint32_t word = std::uint32_t{half} << 16;
  float value;
  std::memcpy(&value, &word, sizeof value);
  return value;
}
std::uint16_t to_bfloat16(float value) {
  std::uint32_t word;
  value = with_mantissa(value, 7);
  std::memcpy(&word, &value, sizeof word);
  return static_cast<std::uint16_t>(word >> 16);
}

std::size_t bytes_of(const cudnnTensorStruct& t) {
  return static_cast<std::size_t>(t.count()) * (t.type == CUDNN_DATA_BFLOAT16 ? 2 : 4);
}

// The numbers as they lie in device memory; the factors of a product as the math type takes them.
std::vector<float> read(const cudnnTensorStruct& t, const void* data, cudnnMathType_t math) {
  library_reads(data, bytes_of(t));
  std::vector<float> values(static_cast<std::size_t>(t.count()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = t.type == CUDNN_DATA_BFLOAT16 ? from_bfloat16(static_cast<const std::uint16_t*>(data)[i])
                                              : static_cast<const float*>(data)[i];
    if (t.type == CUDNN_DATA_FLOAT && math != CUDNN_FMA_MATH) values[i] = with_mantissa(values[i], 10);
  }
  return values;
}

// data = alpha · sums + beta · data
void write(const cudnnTensorStruct& t, void* data, const std::vector<double>& sums, float alpha, float beta) {
  std::vector<float> before(sums.size());
  if (beta != 0) before = read(t, data, CUDNN_FMA_MATH);
  library_writes(data, bytes_of(t));
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const float value = static_cast<float>(alpha * sums[i]) + (beta != 0 ? beta * before[i] : 0);
    if (t.type == CUDNN_DATA_BFLOAT16)
      static_cast<std::uint16_t*>(data)[i] = to_bfloat16(value);
    else
      static_cast<float*>(data)[i] = value;
  }
}

// result = alpha · (sum of products of a and b) + beta · result; add(sums, a, b, index in x, in w, in y) adds one.
template <class Add>
cudnnStatus_t convolve(cudnnHandle_t handle, const Problem& problem, int algorithm, const void* workspace,
                       std::size_t bytes, const cudnnTensorStruct& a, const void* a_data, const cudnnTensorStruct& b,
                       const void* b_data, const cudnnTensorStruct& result, void* data, const void* alpha,
                       const void* beta, Add add) {
  if (!consistent(problem)) return CUDNN_STATUS_BAD_PARAM;
  if (algorithm == refused || algorithm == unsupported) return CUDNN_STATUS_NOT_SUPPORTED;
  if (bytes < workspace_bytes) return CUDNN_STATUS_BAD_PARAM;
  const float scale = *static_cast<const float*>(alpha), keep = *static_cast<const float*>(beta);
  const cudaError_t error = enqueue(handle->stream, [=] {
    library_writes(const_cast<void*>(workspace), workspace_bytes);
    const std::vector<float> left = read(a, a_data, problem.convolution.math),
                             right = read(b, b_data, problem.convolution.math);
    std::vector<double> sums(static_cast<std::size_t>(result.count()));
    for_each_product(problem, [&](std::int64_t x, std::int64_t w, std::int64_t y) {
      add(sums, left, right, static_cast<std::size_t>(x), static_cast<std::size_t>(w), static_cast<std::size_t>(y));
    });
    write(result, data, sums, scale, keep);
    return cudaSuccess;
  });
  return error == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}

// Lists the algorithms, fastest first.
template <class Performance>
cudnnStatus_t list(const Problem& problem, int wanted, int* count, Performance* results) {
  if (!consistent(problem)) return CUDNN_STATUS_BAD_PARAM;
  *count = 0;
  for (const int algorithm : {refused, nondeterministic, usual, unsupported}) {
    if (*count == wanted) break;
    Performance& result = results[(*count)++];
    result = {};
    result.algo = static_cast<decltype(result.algo)>(algorithm);
    result.status = algorithm == unsupported ? CUDNN_STATUS_NOT_SUPPORTED : CUDNN_STATUS_SUCCESS;
    result.time = -1;
    result.memory = workspace_bytes;
    result.determinism = algorithm == nondeterministic ? CUDNN_NON_DETERMINISTIC : CUDNN_DETERMINISTIC;
    result.mathType = problem.convolution.math;
  }
  return CUDNN_STATUS_SUCCESS;
}

template <class Descriptor>
cudnnStatus_t make(Descriptor** descriptor) {
  *descriptor = new Descriptor;
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace
}  // namespace actgrad::cuda_emulator

using namespace actgrad::cuda_emulator;
using Numbers = std::vector<float>;
using Sums = std::vector<double>;

extern "C" {

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  return make(handle);
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}
std::size_t cudnnGetVersion() {
  return CUDNN_VERSION;
}
const char* cudnnGetErrorString(cudnnStatus_t status) {
  return status == CUDNN_STATUS_NOT_SUPPORTED ? "CUDNN_STATUS_NOT_SUPPORTED"
         : status == CUDNN_STATUS_BAD_PARAM   ? "CUDNN_STATUS_BAD_PARAM"
                                              : "CUDNN_STATUS_EXECUTION_FAILED";
}
void cudnnGetLastErrorString(char* message, std::size_t bytes) {
  std::snprintf(message, bytes, "(emulated)");
}

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* descriptor) {
  return make(descriptor);
}
cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t descriptor, cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c, int h, int w) {
  if (format != CUDNN_TENSOR_NHWC) return CUDNN_STATUS_NOT_SUPPORTED;
  *descriptor = {type, n, h, w, c};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t* descriptor) {
  return make(descriptor);
}
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t descriptor, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k, int c, int h, int w) {
  if (format != CUDNN_TENSOR_NHWC) return CUDNN_STATUS_NOT_SUPPORTED;
  *descriptor = {{type, k, h, w, c}};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t* descriptor) {
  return make(descriptor);
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t descriptor, int pad_h, int pad_w, int u,
                                              int v, int dilation_h, int dilation_w, cudnnConvolutionMode_t mode,
                                              cudnnDataType_t compute) {
  if (pad_h != pad_w || u != v || dilation_h != dilation_w || mode != CUDNN_CROSS_CORRELATION ||
      compute != CUDNN_DATA_FLOAT)
    return CUDNN_STATUS_NOT_SUPPORTED;
  *descriptor = {.padding = pad_h, .stride = u, .dilation = dilation_h};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t descriptor, int groups) {
  descriptor->groups = groups;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t descriptor, cudnnMathType_t math) {
  descriptor->math = math;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t, const cudnnTensorDescriptor_t x,
                                                     const cudnnFilterDescriptor_t w,
                                                     const cudnnConvolutionDescriptor_t convolution,
                                                     const cudnnTensorDescriptor_t y, const int wanted, int* count,
                                                     cudnnConvolutionFwdAlgoPerf_t* results) {
  return list({*x, *y, *w, *convolution}, wanted, count, results);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnnHandle_t, const cudnnFilterDescriptor_t w,
                                                          const cudnnTensorDescriptor_t dy,
                                                          const cudnnConvolutionDescriptor_t convolution,
                                                          const cudnnTensorDescriptor_t dx, const int wanted,
                                                          int* count, cudnnConvolutionBwdDataAlgoPerf_t* results) {
  return list({*dx, *dy, *w, *convolution}, wanted, count, results);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnnHandle_t, const cudnnTensorDescriptor_t x,
                                                            const cudnnTensorDescriptor_t dy,
                                                            const cudnnConvolutionDescriptor_t convolution,
                                                            const cudnnFilterDescriptor_t dw, const int wanted,
                                                            int* count, cudnnConvolutionBwdFilterAlgoPerf_t* results) {
  return list({*x, *dy, *dw, *convolution}, wanted, count, results);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void* alpha, const cudnnTensorDescriptor_t x,
                                      const void* x_data, const cudnnFilterDescriptor_t w, const void* w_data,
                                      const cudnnConvolutionDescriptor_t convolution,
                                      cudnnConvolutionFwdAlgo_t algorithm, void* workspace, std::size_t bytes,
                                      const void* beta, const cudnnTensorDescriptor_t y, void* y_data) {
  return convolve(handle, {*x, *y, *w, *convolution}, algorithm, workspace, bytes, *x, x_data, *w, w_data, *y, y_data,
                  alpha, beta,
                  [](Sums& sums, const Numbers& left, const Numbers& right, std::size_t in, std::size_t tap,
                     std::size_t out) { sums[out] += double{left[in]} * right[tap]; });
}
cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void* alpha, const cudnnFilterDescriptor_t w,
                                           const void* w_data, const cudnnTensorDescriptor_t dy, const void* dy_data,
                                           const cudnnConvolutionDescriptor_t convolution,
                                           cudnnConvolutionBwdDataAlgo_t algorithm, void* workspace, std::size_t bytes,
                                           const void* beta, const cudnnTensorDescriptor_t dx, void* dx_data) {
  return convolve(handle, {*dx, *dy, *w, *convolution}, algorithm, workspace, bytes, *w, w_data, *dy, dy_data, *dx,
                  dx_data, alpha, beta,
                  [](Sums& sums, const Numbers& left, const Numbers& right, std::size_t in, std::size_t tap,
                     std::size_t out) { sums[in] += double{left[tap]} * right[out]; });
}
cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void* alpha, const cudnnTensorDescriptor_t x,
                                             const void* x_data, const cudnnTensorDescriptor_t dy, const void* dy_data,
                                             const cudnnConvolutionDescriptor_t convolution,
                                             cudnnConvolutionBwdFilterAlgo_t algorithm, void* workspace,
                                             std::size_t bytes, const void* beta, const cudnnFilterDescriptor_t dw,
                                             void* dw_data) {
  return convolve(handle, {*x, *dy, *dw, *convolution}, algorithm, workspace, bytes, *x, x_data, *dy, dy_data, *dw,
                  dw_data, alpha, beta,
                  [](Sums& sums, const Numbers& left, const Numbers& right, std::size_t in, std::size_t tap,
                     std::size_t out) { sums[tap] += double{left[in]} * right[out]; });
}

}  // extern "C"
