#pragma once

#include "kernels/batch_norm.h"
#include "layers/module.h"

namespace actgrad {

// Batch normalisation of (N, H, W, C) per channel; scale starts at 1, shift at 0, running mean at 0, running variance
// at 1.
class BatchNorm2d final : public Module {
 public:
  explicit BatchNorm2d(std::int64_t channels, double eps = 1e-5, double momentum = 0.1);

  Variable forward(Pass& pass, const Variable& x) override { return normalise(pass, x, {}, false); }
  // In one pass over memory with what follows in a residual network: relu(bn(x)), relu(bn(x) + residual).
  Variable forward_relu(Pass& pass, const Variable& x) { return normalise(pass, x, {}, true); }
  Variable forward_add_relu(Pass& pass, const Variable& x, const Variable& residual) {
    return normalise(pass, x, residual, true);
  }

 private:
  Variable normalise(Pass& pass, const Variable& x, const Variable& residual, bool relu);
  kernels::BatchNormOptions options_;
  Parameter scale_, shift_;
  Buffer running_mean_, running_variance_;
};

}  // namespace actgrad
