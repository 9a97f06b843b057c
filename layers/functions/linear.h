#pragma once

#include "layers/pass.h"

namespace actgrad {

// x Wᵀ + b.   x (rows, in), weight (out, in), bias (out) or undefined → (rows, out).
Variable linear(Pass& pass, const Variable& x, const Variable& weight, const Variable& bias);

}  // namespace actgrad
