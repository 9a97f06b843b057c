#pragma once

#include "layers/linear.h"
#include "layers/model.h"

namespace actgrad {

// A multilayer perceptron on the flattened image: linear layers with ReLU between, named fc1, fc2, …
class Mlp final : public Module {
 public:
  Mlp(const InputSpec& input, const std::vector<std::int64_t>& hidden);
  Variable forward(Pass& pass, const Variable& x) override;

 private:
  std::vector<std::unique_ptr<Linear>> layers_;
};

}  // namespace actgrad
