#pragma once

#include <optional>

#include "kernels/activations.h"
#include "layers/linear.h"
#include "layers/model.h"

namespace actgrad {

// A multilayer perceptron on the flattened image: linear layers with an activation function between (none given: ReLU),
// named fc1, fc2, …
class Mlp final : public Module {
 public:
  Mlp(const InputSpec& input, const std::vector<std::int64_t>& hidden,
      std::optional<kernels::Activation> activation = {});
  Variable forward(Pass& pass, const Variable& x) override;

 private:
  std::vector<std::unique_ptr<Linear>> layers_;
  std::optional<kernels::Activation> activation_;
};

}  // namespace actgrad
