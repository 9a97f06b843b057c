#pragma once

#include "layers/conv2d.h"
#include "layers/linear.h"
#include "layers/model.h"

namespace actgrad {

// The small networks that learned optimizers are tried on (HyperAdam, section 5): `stages` of two 3x3 convolutions of
// 16, 32, … channels and a pooling that halves the image, then stages − 1 hidden layers of 2^(stages + 4) units; ReLU
// everywhere. Named conv1, conv2, …, fc1, …
class Cnn final : public Module {
 public:
  struct Plan {
    int stages = 1;
    bool batch_norm = false;  // behind the ReLU of each convolution: standardise_over_batch
    double keep = 1;          // of dropout behind the ReLU of each hidden layer
  };
  Cnn(const Plan& plan, const InputSpec& input);
  Variable forward(Pass& pass, const Variable& x) override;

 private:
  Plan plan_;
  std::vector<std::unique_ptr<Conv2d>> convolutions_;
  std::vector<std::unique_ptr<Linear>> linears_;
};

}  // namespace actgrad
