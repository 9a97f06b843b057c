#pragma once

#include "layers/batch_norm2d.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "layers/model.h"
#include "layers/sequential.h"

namespace actgrad {

// Two 3x3 convolutions with batch normalisation around a shortcut (He et al. 2016). Where the shape changes, the
// shortcut takes every second pixel and pads the channels with zeros ("option A": no parameters).
class BasicBlock final : public Module {
 public:
  BasicBlock(std::int64_t in, std::int64_t out, std::int64_t stride);
  Variable forward(Pass& pass, const Variable& x) override;

 private:
  std::int64_t out_;
  bool changes_shape_;
  Conv2d conv1_;
  BatchNorm2d bn1_;
  Conv2d conv2_;
  BatchNorm2d bn2_;
};

// The CIFAR residual networks (He et al. 2016, §4.2): a 3x3 convolution with 16 channels, three stages of `blocks`
// basic blocks with 16, 32, 64 channels, global average pooling, a linear layer. ResNet-(6·blocks + 2); ResNet-20 with
// 10 classes has 269,722 parameters. Weights: Kaiming normal (fan-in).
class CifarResNet final : public Module {
 public:
  CifarResNet(std::int64_t blocks, const InputSpec& input);
  Variable forward(Pass& pass, const Variable& x) override;

 private:
  Conv2d conv1_;
  BatchNorm2d bn1_;
  Sequential layer1_, layer2_, layer3_;
  Linear linear_;
};

}  // namespace actgrad
