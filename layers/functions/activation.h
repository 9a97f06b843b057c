#pragma once

#include "kernels/activations.h"
#include "layers/pass.h"

namespace actgrad {

// sigmoid, tanh or elu of every element; any shape.
Variable activate(Pass& pass, const Variable& x, kernels::Activation kind);

}  // namespace actgrad
