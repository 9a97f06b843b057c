#include "kernels/cuda/cudnn_convolution.h"

#include "kernels/cuda/runtime.h"
#include "kernels/precision.h"

#ifdef ACTGRAD_HAVE_CUDNN

#include <cudnn.h>

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

void check(cudnnStatus_t status, const char* call, int line) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::array<char, 512> reason{};
  cudnnGetLastErrorString(reason.data(), reason.size());
  throw InternalError(std::string(__FILE__) + ":" + std::to_string(line) + ": " + call + ": " +
                      cudnnGetErrorString(status) + " " + reason.data());
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

// A convolution described to cuDNN, and the algorithm for one direction.
template <class Direction>
struct Plan {
  cudnnTensorDescriptor_t x = nullptr, y = nullptr;
  cudnnFilterDescriptor_t weight = nullptr;
  cudnnConvolutionDescriptor_t convolution = nullptr;
  typename Direction::Performance choice{};

  Plan(const Conv2dGeometry& g, MatrixPrecision precision) {
    describe(g, precision);
    choose(g);
  }

 private:
  void describe(const Conv2dGeometry& g, MatrixPrecision precision) {
    const auto i = [](std::int64_t size) { return static_cast<int>(size); };
    ACTGRAD_CUDNN_CHECK(cudnnCreateTensorDescriptor(&x));
    ACTGRAD_CUDNN_CHECK(cudnnSetTensor4dDescriptor(x, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, i(g.batch), i(g.in_channels),
                                                   i(g.height), i(g.width)));
    ACTGRAD_CUDNN_CHECK(cudnnCreateTensorDescriptor(&y));
    ACTGRAD_CUDNN_CHECK(cudnnSetTensor4dDescriptor(y, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, i(g.batch),
                                                   i(g.out_channels), i(g.out_height()), i(g.out_width())));
    ACTGRAD_CUDNN_CHECK(cudnnCreateFilterDescriptor(&weight));
    ACTGRAD_CUDNN_CHECK(cudnnSetFilter4dDescriptor(weight, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC, i(g.out_channels),
                                                   i(g.group_in()), i(g.kernel_h), i(g.kernel_w)));
    ACTGRAD_CUDNN_CHECK(cudnnCreateConvolutionDescriptor(&convolution));
    ACTGRAD_CUDNN_CHECK(cudnnSetConvolution2dDescriptor(convolution, i(g.padding), i(g.padding), i(g.stride),
                                                        i(g.stride), i(g.dilation), i(g.dilation),
                                                        CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
    ACTGRAD_CUDNN_CHECK(cudnnSetConvolutionGroupCount(convolution, i(g.groups)));
    // By default cuDNN may round float32 factors to TF32.
    ACTGRAD_CUDNN_CHECK(cudnnSetConvolutionMathType(
        convolution, precision == MatrixPrecision::full ? CUDNN_FMA_MATH : CUDNN_DEFAULT_MATH));
  }

  // The algorithm that cuDNN expects to be fastest among those that give the same bits every time.
  void choose(const Conv2dGeometry& g) {
    std::array<typename Direction::Performance, Direction::algorithms> candidates;
    int count = 0;
    const int wanted = static_cast<int>(candidates.size());
    if constexpr (std::is_same_v<Direction, Forward>)
      ACTGRAD_CUDNN_CHECK(Direction::estimate(handle(), x, weight, convolution, y, wanted, &count, candidates.data()));
    else if constexpr (std::is_same_v<Direction, BackwardData>)
      ACTGRAD_CUDNN_CHECK(Direction::estimate(handle(), weight, y, convolution, x, wanted, &count, candidates.data()));
    else
      ACTGRAD_CUDNN_CHECK(Direction::estimate(handle(), x, y, convolution, weight, wanted, &count, candidates.data()));
    for (int i = 0; i < count; ++i) {
      const auto& candidate = candidates[static_cast<std::size_t>(i)];
      if (candidate.status != CUDNN_STATUS_SUCCESS || candidate.determinism != CUDNN_DETERMINISTIC) continue;
      choice = candidate;
      ACTGRAD_CUDNN_CHECK(cudnnSetConvolutionMathType(convolution, choice.mathType));
      return;
    }
    throw UserError("cuDNN has no deterministic algorithm for a convolution of " + g.input_shape().to_string() +
                    " with " + g.weight_shape().to_string() + ": use --conv im2col");
  }
};

// Plans are made once: the estimate costs more than the convolution.
template <class Direction>
const Plan<Direction>& plan_of(const Conv2dGeometry& g) {
  static std::map<std::tuple<int, MatrixPrecision, Conv2dGeometry>, std::unique_ptr<Plan<Direction>>> plans;
  const MatrixPrecision precision = kernels::matrix_precision();
  auto& plan = plans[{current_device(), precision, g}];
  if (!plan) plan = std::make_unique<Plan<Direction>>(g, precision);
  return *plan;
}

Tensor workspace(std::size_t bytes) {
  return Tensor::empty({static_cast<std::int64_t>(bytes)}, DType::uint8, this_device());
}

constexpr float one = 1, zero = 0;
const float* kept(Write mode) {
  return mode == Write::accumulate ? &one : &zero;
}

}  // namespace

bool cudnn_available() {
  return true;
}

void cudnn_forward(const Conv2dGeometry& g, const Tensor& x, const Tensor& weight, Tensor& y, Write mode) {
  const auto& plan = plan_of<Forward>(g);
  const Tensor scratch = workspace(plan.choice.memory);
  count_launch();
  ACTGRAD_CUDNN_CHECK(cudnnConvolutionForward(handle(), &one, plan.x, x.raw(), plan.weight, weight.raw(),
                                              plan.convolution, plan.choice.algo, scratch.raw(), scratch.bytes(),
                                              kept(mode), plan.y, y.raw()));
}

void cudnn_backward_data(const Conv2dGeometry& g, const Tensor& dy, const Tensor& weight, Tensor& dx, Write mode) {
  const auto& plan = plan_of<BackwardData>(g);
  const Tensor scratch = workspace(plan.choice.memory);
  count_launch();
  ACTGRAD_CUDNN_CHECK(cudnnConvolutionBackwardData(handle(), &one, plan.weight, weight.raw(), plan.y, dy.raw(),
                                                   plan.convolution, plan.choice.algo, scratch.raw(), scratch.bytes(),
                                                   kept(mode), plan.x, dx.raw()));
}

void cudnn_backward_weight(const Conv2dGeometry& g, const Tensor& dy, const Tensor& x, Tensor& dweight, Write mode) {
  const auto& plan = plan_of<BackwardWeight>(g);
  const Tensor scratch = workspace(plan.choice.memory);
  count_launch();
  ACTGRAD_CUDNN_CHECK(cudnnConvolutionBackwardFilter(handle(), &one, plan.x, x.raw(), plan.y, dy.raw(),
                                                     plan.convolution, plan.choice.algo, scratch.raw(), scratch.bytes(),
                                                     kept(mode), plan.weight, dweight.raw()));
}

}  // namespace actgrad::cuda

#else

namespace actgrad::cuda {

bool cudnn_available() {
  return false;
}
void cudnn_forward(const kernels::Conv2dGeometry&, const Tensor&, const Tensor&, Tensor&, Write) {
  ACTGRAD_CHECK(false, "built without cuDNN");
}
void cudnn_backward_data(const kernels::Conv2dGeometry&, const Tensor&, const Tensor&, Tensor&, Write) {
  ACTGRAD_CHECK(false, "built without cuDNN");
}
void cudnn_backward_weight(const kernels::Conv2dGeometry&, const Tensor&, const Tensor&, Tensor&, Write) {
  ACTGRAD_CHECK(false, "built without cuDNN");
}

}  // namespace actgrad::cuda

#endif
