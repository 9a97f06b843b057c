#include "layers/models/cnn.h"

#include "layers/functions/dropout.h"
#include "layers/functions/pooling.h"
#include "layers/functions/relu.h"
#include "layers/functions/reshape.h"
#include "layers/functions/standardise.h"

namespace actgrad {
namespace {

constexpr std::int64_t first_channels = 16;
constexpr double eps = 1e-5;

}  // namespace

Cnn::Cnn(const Plan& plan, const InputSpec& input) : plan_(plan) {
  std::int64_t channels = input.channels, height = input.height, width = input.width;
  for (int stage = 0; stage < plan.stages; ++stage) {
    for (int i = 0; i < 2; ++i) {
      const std::int64_t out = first_channels << stage;
      convolutions_.push_back(std::make_unique<Conv2d>(channels, out, 3, Conv2dOptions{.padding = 1}));
      add("conv" + std::to_string(convolutions_.size()), *convolutions_.back());
      channels = out;
    }
    height /= 2;
    width /= 2;
  }
  if (height == 0 || width == 0) throw UserError("the network halves its images more often than they allow");
  std::int64_t units = channels * height * width;
  for (int i = 0; i < plan.stages; ++i) {
    const std::int64_t out = i + 1 < plan.stages ? first_channels << plan.stages : input.classes;
    linears_.push_back(std::make_unique<Linear>(units, out));
    add("fc" + std::to_string(linears_.size()), *linears_.back());
    units = out;
  }
}

Variable Cnn::forward(Pass& pass, const Variable& x) {
  const kernels::PoolGeometry half{.size = 2, .stride = 2};
  Variable y = x;
  for (std::size_t i = 0; i < convolutions_.size(); ++i) {
    const bool pools = i % 2 == 1;
    if (plan_.batch_norm) {
      y = standardise_over_batch(pass, relu(pass, convolutions_[i]->forward(pass, y)), eps);
      if (pools) y = max_pool2d(pass, y, half);
    } else {  // the maximum's ReLU is the ReLUs' maximum
      y = relu(pass, pools ? convolutions_[i]->forward_max_pool(pass, y, half) : convolutions_[i]->forward(pass, y));
    }
  }
  y = flatten(pass, y);
  for (std::size_t i = 0; i < linears_.size(); ++i) {
    y = linears_[i]->forward(pass, y);
    if (i + 1 < linears_.size()) y = dropout(pass, relu(pass, y), plan_.keep);
  }
  return y;
}

}  // namespace actgrad
