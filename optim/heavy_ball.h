// SGD's update with what an optimizer has put in the place of the gradients.
#pragma once

#include "core/parameters.h"
#include "core/safetensors.h"
#include "kernels/optimizer_steps.h"

namespace actgrad {

// Of all parameters: d = g + wd·p;  buffer = momentum·buffer + d;  p −= lr·buffer. (PyTorch's SGD.)
class HeavyBall {
 public:
  HeavyBall(ParameterSet& parameters, double momentum)
      : parameters_(parameters), momentum_(momentum), step_(parameters.device()) {
    if (momentum_ != 0) buffer_ = parameters_.zeros_like();
  }
  void prepare(double lr, double weight_decay) {
    step_.set({.lr = lr,
               .momentum = momentum_,
               .dampening = 0,
               .weight_decay = weight_decay,
               .nesterov = false,
               .first = false});
  }
  void update() {
    for (const Span& span : parameters_.spans_with_gradient()) {
      Tensor p = parameters_.values().slice(span.begin, span.end);
      Tensor buffer = buffer_ ? buffer_.slice(span.begin, span.end) : Tensor();
      kernels::sgd_step(p, parameters_.gradients().slice(span.begin, span.end), buffer, step_);
    }
  }
  std::vector<NamedTensor> state() const {
    if (!buffer_) return {};
    return {{"momentum", buffer_}};
  }

 private:
  ParameterSet& parameters_;
  double momentum_;
  StepValue<kernels::SgdStep> step_;
  Tensor buffer_;
};

}  // namespace actgrad
