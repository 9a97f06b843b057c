#include "layers/models/densenet.h"

#include "layers/functions/pooling.h"
#include "layers/functions/reshape.h"

namespace actgrad {
namespace {

constexpr bool no_bias = false;  // a batch normalisation follows, or the model's habit

}  // namespace

DenseLayer::DenseLayer(std::int64_t in, std::int64_t growth)
    : bn1_(in),
      conv1_(in, 4 * growth, 1, {}, no_bias),
      bn2_(4 * growth),
      conv2_(4 * growth, growth, 3, {.padding = 1}, no_bias) {
  add("bn1", bn1_);
  add("conv1", conv1_);
  add("bn2", bn2_);
  add("conv2", conv2_);
}

Variable DenseLayer::forward(Pass& pass, const Variable& x) {
  const Variable y = conv1_.forward(pass, bn1_.forward_relu(pass, x));
  return concat(pass, conv2_.forward(pass, bn2_.forward_relu(pass, y)), x);
}

DenseTransition::DenseTransition(std::int64_t in) : bn_(in), conv_(in, in / 2, 1, {}, no_bias) {
  add("bn", bn_);
  add("conv", conv_);
}

Variable DenseTransition::forward(Pass& pass, const Variable& x) {
  return avg_pool2d(pass, conv_.forward(pass, bn_.forward_relu(pass, x)), {.size = 2, .stride = 2});
}

DenseNet::DenseNet(const std::vector<std::int64_t>& blocks, std::int64_t growth, const InputSpec& input)
    : conv1_(input.channels, 2 * growth, 3, {.padding = 1}, no_bias) {
  add("conv1", conv1_);
  std::int64_t channels = 2 * growth;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    Sequential& block = *blocks_.emplace_back(std::make_unique<Sequential>());
    for (std::int64_t layer = 0; layer < blocks[b]; ++layer, channels += growth)
      block.append<DenseLayer>(channels, growth);
    add("dense" + std::to_string(b + 1), block);
    if (b + 1 == blocks.size()) break;
    add("trans" + std::to_string(b + 1), *transitions_.emplace_back(std::make_unique<DenseTransition>(channels)));
    channels /= 2;
  }
  bn_ = std::make_unique<BatchNorm2d>(channels);
  linear_ = std::make_unique<Linear>(channels, input.classes);
  add("bn", *bn_);
  add("linear", *linear_);
}

Variable DenseNet::forward(Pass& pass, const Variable& x) {
  Variable y = conv1_.forward(pass, x);
  for (std::size_t b = 0; b < blocks_.size(); ++b) {
    y = blocks_[b]->forward(pass, y);
    if (b < transitions_.size()) y = transitions_[b]->forward(pass, y);
  }
  return linear_->forward(pass, global_avg_pool(pass, bn_->forward_relu(pass, y)));
}

}  // namespace actgrad
