// What is done to all gradients together, before an optimizer's step. Nothing is read back to the host: it may be
// recorded.
#pragma once

#include "core/parameters.h"

namespace actgrad {

// Σ g² over all parameters that have a gradient: (1) float64, on the parameters' device.
Tensor squared_gradient_norm(const ParameterSet& parameters);

// Global clipping (Pascanu, Mikolov and Bengio 2013): g *= min(1, max_norm / (‖g‖ + eps)), ‖g‖ the norm of all
// gradients together. eps: PyTorch's clip_grad_norm_.
void clip_gradients(ParameterSet& parameters, double max_norm, double eps = 1e-6);

}  // namespace actgrad
