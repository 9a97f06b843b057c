#include "layers/models/mlp.h"

#include "layers/functions/activation.h"
#include "layers/functions/relu.h"
#include "layers/functions/reshape.h"

namespace actgrad {

Mlp::Mlp(const InputSpec& input, const std::vector<std::int64_t>& hidden, std::optional<kernels::Activation> activation)
    : activation_(activation) {
  std::int64_t width = input.height * input.width * input.channels;
  auto append = [&](std::int64_t out) {
    layers_.push_back(std::make_unique<Linear>(width, out));
    add("fc" + std::to_string(layers_.size()), *layers_.back());
    width = out;
  };
  for (std::int64_t units : hidden) append(units);
  append(input.classes);
}

Variable Mlp::forward(Pass& pass, const Variable& x) {
  Variable y = flatten(pass, x);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    y = layers_[i]->forward(pass, y);
    if (i + 1 < layers_.size()) y = activation_ ? activate(pass, y, *activation_) : relu(pass, y);
  }
  return y;
}

}  // namespace actgrad
