#pragma once

#include "layers/batch_norm2d.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "layers/model.h"
#include "layers/sequential.h"

namespace actgrad {

// What a shortcut does where the shape changes (He et al. 2016, §3.3).
enum class Shortcut {
  pad,      // option A: take every second pixel, pad the channels with zeros; no parameters
  project,  // option B: a 1x1 convolution and a batch normalisation
};

struct ResNetPlan {
  std::vector<std::int64_t> blocks;  // of each stage
  std::int64_t channels;             // of the first stage; each further stage doubles them and halves the image's sides
  Shortcut shortcut;
  Init init;               // of all weights
  bool batch_norm = true;  // without, convolutions have no bias all the same
};

// Two 3x3 convolutions with batch normalisation around a shortcut (He et al. 2016).
// x (N, H, W, in) → (N, ⌈H/stride⌉, ⌈W/stride⌉, out).
class BasicBlock final : public Module {
 public:
  BasicBlock(std::int64_t in, std::int64_t out, std::int64_t stride, const ResNetPlan& plan);
  Variable forward(Pass& pass, const Variable& x) override;

 private:
  Conv2d conv1_;
  BatchNorm2d bn1_;
  Conv2d conv2_;
  BatchNorm2d bn2_;
  Sequential shortcut_;  // empty, the identity, where the shape stays
  bool batch_norm_;
};

// Residual networks for small images: a 3x3 convolution, stages of basic blocks, global average pooling, a linear
// layer. x (N, H, W, C) → (N, classes).
class ResNet final : public Module {
 public:
  ResNet(const ResNetPlan& plan, const InputSpec& input);
  Variable forward(Pass& pass, const Variable& x) override;

  // CIFAR's ResNet-(6·blocks + 2) (He et al. 2016, §4.2): three stages with 16, 32, 64 channels, option A, Kaiming
  // normal weights. ResNet-20 with 10 classes has 269,722 parameters.
  static ResNetPlan cifar(std::int64_t blocks);
  // The blocks of an ImageNet network (He et al. 2016, Table 1) without its stride and max pooling in front, as in
  // kuangliu/pytorch-cifar: 64, 128, 256, 512 channels, option B, PyTorch's default weights. {3, 4, 6, 3} is ResNet-34,
  // 21,328,292 parameters with 100 classes.
  static ResNetPlan imagenet(const std::vector<std::int64_t>& blocks);

 private:
  Conv2d conv1_;
  BatchNorm2d bn1_;
  bool batch_norm_;
  std::vector<std::unique_ptr<Sequential>> stages_;
  Linear linear_;
};

}  // namespace actgrad
