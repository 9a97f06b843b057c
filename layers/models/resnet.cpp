#include "layers/models/resnet.h"

namespace actgrad {
namespace {

constexpr bool no_bias = false;  // a batch normalisation follows, whose shift serves as bias

void append_stage(Sequential& stage, std::int64_t blocks, std::int64_t in, std::int64_t out, std::int64_t stride) {
  stage.append<BasicBlock>(in, out, stride);
  for (std::int64_t i = 1; i < blocks; ++i) stage.append<BasicBlock>(out, out, 1);
}

}  // namespace

BasicBlock::BasicBlock(std::int64_t in, std::int64_t out, std::int64_t stride)
    : out_(out),
      changes_shape_(stride != 1 || in != out),
      conv1_(in, out, 3, {.stride = stride, .padding = 1}, no_bias, Init::kaiming_normal_fan_in),
      bn1_(out),
      conv2_(out, out, 3, {.padding = 1}, no_bias, Init::kaiming_normal_fan_in),
      bn2_(out) {
  add("conv1", conv1_);
  add("bn1", bn1_);
  add("conv2", conv2_);
  add("bn2", bn2_);
}

Variable BasicBlock::forward(Pass& pass, const Variable& x) {
  const Variable shortcut = changes_shape_ ? subsample_pad(pass, x, out_) : x;
  const Variable y = bn1_.forward_relu(pass, conv1_.forward(pass, x));
  return bn2_.forward_add_relu(pass, conv2_.forward(pass, y), shortcut);
}

CifarResNet::CifarResNet(std::int64_t blocks, const InputSpec& input)
    : conv1_(input.channels, 16, 3, {.padding = 1}, no_bias, Init::kaiming_normal_fan_in),
      bn1_(16),
      linear_(64, input.classes, true, Init::kaiming_normal_fan_in) {
  append_stage(layer1_, blocks, 16, 16, 1);
  append_stage(layer2_, blocks, 16, 32, 2);
  append_stage(layer3_, blocks, 32, 64, 2);
  add("conv1", conv1_);
  add("bn1", bn1_);
  add("layer1", layer1_);
  add("layer2", layer2_);
  add("layer3", layer3_);
  add("linear", linear_);
}

Variable CifarResNet::forward(Pass& pass, const Variable& x) {
  Variable y = bn1_.forward_relu(pass, conv1_.forward(pass, x));
  y = layer1_.forward(pass, y);
  y = layer2_.forward(pass, y);
  y = layer3_.forward(pass, y);
  return linear_.forward(pass, global_avg_pool(pass, y));
}

}  // namespace actgrad
