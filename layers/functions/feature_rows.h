#pragma once

#include <utility>
#include <vector>

#include "layers/pass.h"

namespace actgrad {

// Functions of matrices (features, n), whose rows hold one feature of n coordinates.

// Σ_k W_k x_k + b: one small linear layer applied to every coordinate. x_k (in_k, n), W_k (out, in_k), b (out) → (out,
// n). Several inputs stand for their concatenation.
struct FeatureInput {
  Variable weight, x;
};
Variable feature_linear(Pass& pass, const std::vector<FeatureInput>& inputs, const Variable& bias);

// Each row divided by its norm over all coordinates: x/√(Σ x² + 1e-16).
Variable row_normalise(Pass& pass, const Variable& x);

// Σ_r a[r, i]·b[r, i] → (n).
Variable row_dot(Pass& pass, const Variable& a, const Variable& b);

// factor·x, any shape.
Variable scaled(Pass& pass, const Variable& x, double factor);

// w − rate·d, in the shape of w: the next point on a path of parameters. d has as many elements.
Variable descend(Pass& pass, const Variable& w, double rate, const Variable& d);

}  // namespace actgrad
