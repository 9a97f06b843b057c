#pragma once

#include "layers/batch_norm2d.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "layers/model.h"
#include "layers/sequential.h"

namespace actgrad {

// Batch normalisation, ReLU and a 1x1 convolution to four times the growth, the same and a 3x3 convolution to the
// growth (Huang et al. 2017, DenseNet-B), whose channels are put in front of the input's. x (N, H, W, in) → (N, H, W,
// growth + in).
class DenseLayer final : public Module {
 public:
  DenseLayer(std::int64_t in, std::int64_t growth);
  Variable forward(Pass& pass, const Variable& x) override;

 private:
  BatchNorm2d bn1_;
  Conv2d conv1_;
  BatchNorm2d bn2_;
  Conv2d conv2_;
};

// Batch normalisation, ReLU, a 1x1 convolution to half the channels, and the mean of each 2x2 pixels.
// x (N, H, W, in) → (N, H/2, W/2, in/2).
class DenseTransition final : public Module {
 public:
  explicit DenseTransition(std::int64_t in);
  Variable forward(Pass& pass, const Variable& x) override;

 private:
  BatchNorm2d bn_;
  Conv2d conv_;
};

// DenseNet-BC for small images: a 3x3 convolution, blocks of dense layers with transitions between them, global average
// pooling, a linear layer. x (N, H, W, C) → (N, classes).
class DenseNet final : public Module {
 public:
  // blocks: how many layers each has. {6, 12, 24, 16} with growth 32 is DenseNet-121 (Huang et al. 2017, Table 1,
  // without its stride and max pooling in front, as in kuangliu/pytorch-cifar): 7,048,548 parameters with 100 classes.
  DenseNet(const std::vector<std::int64_t>& blocks, std::int64_t growth, const InputSpec& input);
  Variable forward(Pass& pass, const Variable& x) override;

 private:
  Conv2d conv1_;
  std::vector<std::unique_ptr<Sequential>> blocks_;
  std::vector<std::unique_ptr<DenseTransition>> transitions_;
  std::unique_ptr<BatchNorm2d> bn_;
  std::unique_ptr<Linear> linear_;
};

}  // namespace actgrad
