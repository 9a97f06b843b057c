#include "layers/models/resnet.h"

#include "layers/functions/add.h"
#include "layers/functions/relu.h"

namespace actgrad {
namespace {

constexpr bool no_bias = false;  // a batch normalisation follows, whose shift serves as bias

class SubsamplePad final : public Module {
 public:
  explicit SubsamplePad(std::int64_t channels) : channels_(channels) {}
  Variable forward(Pass& pass, const Variable& x) override { return subsample_pad(pass, x, channels_); }

 private:
  std::int64_t channels_;
};

// What follows a convolution: relu(bn(x)), or relu(x) in a network without batch normalisation; with a residual added
// before the ReLU.
Variable normalised_relu(Pass& pass, BatchNorm2d* bn, const Variable& x) {
  return bn ? bn->forward_relu(pass, x) : relu(pass, x);
}
Variable normalised_add_relu(Pass& pass, BatchNorm2d* bn, const Variable& x, const Variable& residual) {
  return bn ? bn->forward_add_relu(pass, x, residual) : relu(pass, add(pass, x, residual));
}

}  // namespace

BasicBlock::BasicBlock(std::int64_t in, std::int64_t out, std::int64_t stride, const ResNetPlan& plan)
    : conv1_(in, out, 3, {.stride = stride, .padding = 1}, no_bias, plan.init),
      bn1_(out),
      conv2_(out, out, 3, {.padding = 1}, no_bias, plan.init),
      bn2_(out),
      batch_norm_(plan.batch_norm) {
  if (stride != 1 || in != out) {
    if (plan.shortcut == Shortcut::project) {
      shortcut_.append<Conv2d>(in, out, 1, Conv2dOptions{.stride = stride}, no_bias, plan.init);
      if (batch_norm_) shortcut_.append<BatchNorm2d>(out);
    } else {
      shortcut_.append<SubsamplePad>(out);
    }
  }
  add("conv1", conv1_);
  if (batch_norm_) add("bn1", bn1_);
  add("conv2", conv2_);
  if (batch_norm_) add("bn2", bn2_);
  add("shortcut", shortcut_);
}

Variable BasicBlock::forward(Pass& pass, const Variable& x) {
  const Variable shortcut = shortcut_.forward(pass, x);
  const Variable y = normalised_relu(pass, batch_norm_ ? &bn1_ : nullptr, conv1_.forward(pass, x));
  return normalised_add_relu(pass, batch_norm_ ? &bn2_ : nullptr, conv2_.forward(pass, y), shortcut);
}

ResNetPlan ResNet::cifar(std::int64_t blocks) {
  return {{blocks, blocks, blocks}, 16, Shortcut::pad, Init::kaiming_normal_fan_in};
}

ResNetPlan ResNet::imagenet(const std::vector<std::int64_t>& blocks) {
  return {blocks, 64, Shortcut::project, Init::uniform_fan_in};
}

ResNet::ResNet(const ResNetPlan& plan, const InputSpec& input)
    : conv1_(input.channels, plan.channels, 3, {.padding = 1}, no_bias, plan.init),
      bn1_(plan.channels),
      batch_norm_(plan.batch_norm),
      linear_(plan.channels << (plan.blocks.size() - 1), input.classes, true, plan.init) {
  add("conv1", conv1_);
  if (batch_norm_) add("bn1", bn1_);
  std::int64_t in = plan.channels, out = plan.channels, stride = 1;
  for (std::int64_t blocks : plan.blocks) {
    Sequential& stage = *stages_.emplace_back(std::make_unique<Sequential>());
    stage.append<BasicBlock>(in, out, stride, plan);
    for (std::int64_t i = 1; i < blocks; ++i) stage.append<BasicBlock>(out, out, 1, plan);
    add("layer" + std::to_string(stages_.size()), stage);
    in = out, out = 2 * in, stride = 2;
  }
  add("linear", linear_);
}

Variable ResNet::forward(Pass& pass, const Variable& x) {
  Variable y = normalised_relu(pass, batch_norm_ ? &bn1_ : nullptr, conv1_.forward(pass, x));
  for (const auto& stage : stages_) y = stage->forward(pass, y);
  return linear_.forward(pass, global_avg_pool(pass, y));
}

}  // namespace actgrad
