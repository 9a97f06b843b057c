#include "layers/models/lenet5.h"

#include "layers/functions/relu.h"
#include "layers/functions/reshape.h"

namespace actgrad {
namespace {

// Pixels per side after a 5x5 convolution and a 2x2 pooling, twice.
std::int64_t side_before_fc(std::int64_t side) {
  const std::int64_t left = ((side - 4) / 2 - 4) / 2;
  if (side < 16) throw UserError("lenet5 needs images of at least 16x16 pixels");
  return left;
}

}  // namespace

LeNet5::LeNet5(const InputSpec& input)
    : conv1_(input.channels, 6, 5),
      conv2_(6, 16, 5),
      fc1_(16 * side_before_fc(input.height) * side_before_fc(input.width), 120),
      fc2_(120, 84),
      fc3_(84, input.classes) {
  add("conv1", conv1_);
  add("conv2", conv2_);
  add("fc1", fc1_);
  add("fc2", fc2_);
  add("fc3", fc3_);
}

Variable LeNet5::forward(Pass& pass, const Variable& x) {
  const kernels::PoolGeometry half{.size = 2, .stride = 2};
  // Pooling before ReLU gives the same values and gradients as after it (the maximum's ReLU is the ReLUs' maximum), and
  // leaves ReLU a quarter of the pixels.
  Variable y = relu(pass, conv1_.forward_max_pool(pass, x, half));
  y = relu(pass, conv2_.forward_max_pool(pass, y, half));
  y = flatten(pass, y);
  y = relu(pass, fc1_.forward(pass, y));
  y = relu(pass, fc2_.forward(pass, y));
  return fc3_.forward(pass, y);
}

}  // namespace actgrad
