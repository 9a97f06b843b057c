#include "kernels/cuda/cudnn_convolution.h"

#include "kernels/algorithm_choice.h"
#include "kernels/cuda/runtime.h"
#include "kernels/elementwise.h"
#include "kernels/precision.h"

#ifdef ACTGRAD_HAVE_CUDNN

#include <cudnn.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>

namespace actgrad::cuda {
namespace {

using kernels::Conv2dGeometry;
using kernels::MatrixPrecision;

std::string message_of(cudnnStatus_t status) {
  std::array<char, 512> reason{};
  cudnnGetLastErrorString(reason.data(), reason.size());
  return std::string(cudnnGetErrorString(status)) + " " + reason.data();
}

void check(cudnnStatus_t status, const char* call, int line) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw InternalError(std::string(__FILE__) + ":" + std::to_string(line) + ": " + call + ": " + message_of(status));
}
#define ACTGRAD_CUDNN_CHECK(call) check((call), #call, __LINE__)

// The library's handle, for the current stream. Never destroyed: CUDA may be gone at the end of the program.
cudnnHandle_t handle() {
  static int device = -1;
  static cudnnHandle_t instance = nullptr;
  if (device != current_device()) {
    if (instance) ACTGRAD_CUDNN_CHECK(cudnnDestroy(instance));
    ACTGRAD_CUDNN_CHECK(cudnnCreate(&instance));
    device = current_device();
  }
  ACTGRAD_CUDNN_CHECK(cudnnSetStream(instance, stream()));
  return instance;
}

// The three directions: the type of their algorithms, and how cuDNN names them.
struct Forward {
  using Performance = cudnnConvolutionFwdAlgoPerf_t;
  static constexpr auto estimate = cudnnGetConvolutionForwardAlgorithm_v7;
  static constexpr int algorithms = CUDNN_CONVOLUTION_FWD_ALGO_COUNT;
};
struct BackwardData {
  using Performance = cudnnConvolutionBwdDataAlgoPerf_t;
  static constexpr auto estimate = cudnnGetConvolutionBackwardDataAlgorithm_v7;
  static constexpr int algorithms = CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT;
};
struct BackwardWeight {
  using Performance = cudnnConvolutionBwdFilterAlgoPerf_t;
  static constexpr auto estimate = cudnnGetConvolutionBackwardFilterAlgorithm_v7;
  static constexpr int algorithms = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT;
};

std::string version_text(std::size_t version) {
  return "cuDNN " + std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

// A convolution described to cuDNN, and the algorithms for one direction.
template <class Direction>
struct Plan {
  using Performance = typename Direction::Performance;
  cudnnTensorDescriptor_t x = nullptr, y = nullptr;
  cudnnFilterDescriptor_t weight = nullptr;
  cudnnConvolutionDescriptor_t convolution = nullptr;
  std::vector<Performance> algorithms;
  std::vector<std::string> names;  // of those

  Plan(const Conv2dGeometry& g, MatrixPrecision precision, bool nondeterministic) {
    describe(g, precision);
    find_algorithms(nondeterministic);
  }

  // The algorithm of this name, which the convolution's descriptor is set to.
  const Performance& use(const std::string& name) const {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      const std::string here = version_text(cudnnGetVersion());
      if (name.rfind(here + ",", 0) != 0)
        throw UserError("a convolution was tuned to '" + name + "', this is " + here +
                        ": the same bits need the same version");
      throw UserError("a convolution was tuned to '" + name + "', which this device does not offer");
    }
    const Performance& choice = algorithms[static_cast<std::size_t>(found - names.begin())];
    ACTGRAD_CUDNN_CHECK(cudnnSetConvolutionMathType(convolution, choice.mathType));
    return choice;
  }

  // The algorithm of this name is not listed any more.
  [[noreturn]] void refused(const std::string& name, cudnnStatus_t status) {
    cudaGetLastError();  // unless it is one that stays, the next algorithm starts without it
    const auto index = std::find(names.begin(), names.end(), name) - names.begin();
    algorithms.erase(algorithms.begin() + index);
    names.erase(names.begin() + index);
    throw kernels::AlgorithmRefused(name + " was refused: " + message_of(status));
  }

 private:
  void describe(const Conv2dGeometry& g, MatrixPrecision precision) {
    const auto i = [](std::int64_t size) { return static_cast<int>(size); };
    const cudnnDataType_t type = precision == MatrixPrecision::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    ACTGRAD_CUDNN_CHECK(cudnnCreateTensorDescriptor(&x));
    ACTGRAD_CUDNN_CHECK(
        cudnnSetTensor4dDescriptor(x, CUDNN_TENSOR_NHWC, type, i(g.batch), i(g.in_channels), i(g.height), i(g.width)));
    ACTGRAD_CUDNN_CHECK(cudnnCreateTensorDescriptor(&y));
    ACTGRAD_CUDNN_CHECK(cudnnSetTensor4dDescriptor(y, CUDNN_TENSOR_NHWC, type, i(g.batch), i(g.out_channels),
                                                   i(g.out_height()), i(g.out_width())));
    ACTGRAD_CUDNN_CHECK(cudnnCreateFilterDescriptor(&weight));
    ACTGRAD_CUDNN_CHECK(cudnnSetFilter4dDescriptor(weight, type, CUDNN_TENSOR_NHWC, i(g.out_channels), i(g.group_in()),
                                                   i(g.kernel_h), i(g.kernel_w)));
    ACTGRAD_CUDNN_CHECK(cudnnCreateConvolutionDescriptor(&convolution));
    // Sums are float32 in any case.
    ACTGRAD_CUDNN_CHECK(cudnnSetConvolution2dDescriptor(convolution, i(g.padding), i(g.padding), i(g.stride),
                                                        i(g.stride), i(g.dilation), i(g.dilation),
                                                        CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
    ACTGRAD_CUDNN_CHECK(cudnnSetConvolutionGroupCount(convolution, i(g.groups)));
    ACTGRAD_CUDNN_CHECK(cudnnSetConvolutionMathType(convolution, math_type(precision)));
  }

  static cudnnMathType_t math_type(MatrixPrecision precision) {
    switch (precision) {
      case MatrixPrecision::full: return CUDNN_FMA_MATH;
      case MatrixPrecision::tf32: return CUDNN_DEFAULT_MATH;  // which may round float32 factors to TF32
      case MatrixPrecision::bf16: return CUDNN_TENSOR_OP_MATH;
    }
    ACTGRAD_CHECK(false, "matrix precision");
  }

  // In the order in which cuDNN expects them to be fast.
  void find_algorithms(bool nondeterministic) {
    std::array<Performance, Direction::algorithms> candidates;
    int count = 0;
    const int wanted = static_cast<int>(candidates.size());
    if constexpr (std::is_same_v<Direction, Forward>)
      ACTGRAD_CUDNN_CHECK(Direction::estimate(handle(), x, weight, convolution, y, wanted, &count, candidates.data()));
    else if constexpr (std::is_same_v<Direction, BackwardData>)
      ACTGRAD_CUDNN_CHECK(Direction::estimate(handle(), weight, y, convolution, x, wanted, &count, candidates.data()));
    else
      ACTGRAD_CUDNN_CHECK(Direction::estimate(handle(), x, y, convolution, weight, wanted, &count, candidates.data()));
    for (int i = 0; i < count; ++i) {
      const Performance& candidate = candidates[static_cast<std::size_t>(i)];
      if (candidate.status != CUDNN_STATUS_SUCCESS) continue;
      if (candidate.determinism != CUDNN_DETERMINISTIC && !nondeterministic) continue;
      algorithms.push_back(candidate);
      names.push_back(version_text(cudnnGetVersion()) + ", algorithm " + std::to_string(candidate.algo) + ", math " +
                      std::to_string(candidate.mathType));
    }
  }
};

// Plans are made once: the estimate costs more than the convolution.
template <class Direction>
Plan<Direction>& plan_of(const Conv2dGeometry& g) {
  static std::map<std::tuple<int, MatrixPrecision, bool, Conv2dGeometry>, std::unique_ptr<Plan<Direction>>> plans;
  const MatrixPrecision precision = kernels::matrix_precision();
  const bool nondeterministic = kernels::algorithm_policy().nondeterministic;
  auto& plan = plans[{current_device(), precision, nondeterministic, g}];
  if (!plan) plan = std::make_unique<Plan<Direction>>(g, precision, nondeterministic);
  return *plan;
}

constexpr float one = 1, zero = 0;

// Calls convolve(a, b, result, beta), which writes result = convolution of a and b + beta · result, on tensors of the
// type that the precision asks for.
template <class Convolve>
void at_precision(const Tensor& a, const Tensor& b, Tensor& result, Write mode, const Convolve& convolve) {
  if (kernels::matrix_precision() != MatrixPrecision::bf16)
    return convolve(a.raw(), b.raw(), result.raw(), mode == Write::accumulate ? &one : &zero);
  const auto rounded = [](const Tensor& x) {
    Tensor narrow = Tensor::empty(x.shape(), DType::bfloat16, x.device());
    kernels::cast(x, narrow);
    return narrow;
  };
  const Tensor narrow = Tensor::empty(result.shape(), DType::bfloat16, result.device());
  convolve(rounded(a).raw(), rounded(b).raw(), narrow.raw(), &zero);
  kernels::cast(narrow, result, mode);
}

// result = or += the convolution of a and b, by `call`, which is one of cuDNN's and gives its status.
template <class Direction, class Call>
void run(const Conv2dGeometry& g, const std::string& algorithm, const Tensor& a, const Tensor& b, Tensor& result,
         Write mode, const Call& call) {
  Plan<Direction>& plan = plan_of<Direction>(g);
  const auto& choice = plan.use(algorithm);
  const Tensor scratch = Tensor::empty({static_cast<std::int64_t>(choice.memory)}, DType::uint8, this_device());
  at_precision(a, b, result, mode, [&](const void* from_a, const void* from_b, void* to, const float* beta) {
    count_launch();
    const cudnnStatus_t status = call(plan, choice.algo, scratch, from_a, from_b, to, beta);
    if (status != CUDNN_STATUS_SUCCESS) plan.refused(algorithm, status);
  });
}

}  // namespace

bool cudnn_available() {
  return true;
}

const std::vector<std::string>& cudnn_algorithms(ConvDirection direction, const Conv2dGeometry& g) {
  switch (direction) {
    case ConvDirection::forward: return plan_of<Forward>(g).names;
    case ConvDirection::backward_data: return plan_of<BackwardData>(g).names;
    case ConvDirection::backward_weight: return plan_of<BackwardWeight>(g).names;
  }
  ACTGRAD_CHECK(false, "direction");
}

void cudnn_forward(const Conv2dGeometry& g, const std::string& algorithm, const Tensor& x, const Tensor& weight,
                   Tensor& y, Write mode) {
  run<Forward>(g, algorithm, x, weight, y, mode,
               [](const auto& plan, auto algo, const Tensor& scratch, const void* from, const void* w, void* to,
                  const float* beta) {
                 return cudnnConvolutionForward(handle(), &one, plan.x, from, plan.weight, w, plan.convolution, algo,
                                                scratch.raw(), scratch.bytes(), beta, plan.y, to);
               });
}

void cudnn_backward_data(const Conv2dGeometry& g, const std::string& algorithm, const Tensor& dy, const Tensor& weight,
                         Tensor& dx, Write mode) {
  run<BackwardData>(g, algorithm, dy, weight, dx, mode,
                    [](const auto& plan, auto algo, const Tensor& scratch, const void* from, const void* w, void* to,
                       const float* beta) {
                      return cudnnConvolutionBackwardData(handle(), &one, plan.weight, w, plan.y, from,
                                                          plan.convolution, algo, scratch.raw(), scratch.bytes(), beta,
                                                          plan.x, to);
                    });
}

void cudnn_backward_weight(const Conv2dGeometry& g, const std::string& algorithm, const Tensor& dy, const Tensor& x,
                           Tensor& dweight, Write mode) {
  run<BackwardWeight>(g, algorithm, x, dy, dweight, mode,
                      [](const auto& plan, auto algo, const Tensor& scratch, const void* input, const void* gradient,
                         void* to, const float* beta) {
                        return cudnnConvolutionBackwardFilter(handle(), &one, plan.x, input, plan.y, gradient,
                                                              plan.convolution, algo, scratch.raw(), scratch.bytes(),
                                                              beta, plan.weight, to);
                      });
}

}  // namespace actgrad::cuda

#else

namespace actgrad::cuda {

namespace {

[[noreturn]] void throw_without_cudnn(const std::string& algorithm) {
  throw UserError("a convolution was tuned to '" + algorithm + "', and this build has no cuDNN");
}

}  // namespace

using kernels::Conv2dGeometry;

bool cudnn_available() {
  return false;
}
const std::vector<std::string>& cudnn_algorithms(ConvDirection, const Conv2dGeometry&) {
  ACTGRAD_CHECK(false, "built without cuDNN");
}
void cudnn_forward(const Conv2dGeometry&, const std::string& algorithm, const Tensor&, const Tensor&, Tensor&, Write) {
  throw_without_cudnn(algorithm);
}
void cudnn_backward_data(const Conv2dGeometry&, const std::string& algorithm, const Tensor&, const Tensor&, Tensor&,
                         Write) {
  throw_without_cudnn(algorithm);
}
void cudnn_backward_weight(const Conv2dGeometry&, const std::string& algorithm, const Tensor&, const Tensor&, Tensor&,
                           Write) {
  throw_without_cudnn(algorithm);
}

}  // namespace actgrad::cuda

#endif
