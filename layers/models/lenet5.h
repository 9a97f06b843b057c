#pragma once

#include "layers/conv2d.h"
#include "layers/linear.h"
#include "layers/model.h"

namespace actgrad {

// LeNet-5 in the form of the AdaAct authors' tools (LeCun et al. 1998, with ReLU and max pooling), 62,006 parameters
// for 32x32x3 and 10 classes, 44,426 for 28x28x1:
//   conv 5x5 → 6, ReLU, max pool 2; conv 5x5 → 16, ReLU, max pool 2; fc 120, 84, classes with ReLU between.
class LeNet5 final : public Module {
 public:
  explicit LeNet5(const InputSpec& input);
  Variable forward(Pass& pass, const Variable& x) override;

 private:
  Conv2d conv1_, conv2_;
  Linear fc1_, fc2_, fc3_;
};

}  // namespace actgrad
