#pragma once

#include "layers/pass.h"

namespace actgrad {

// x (N, H, W, C) → (N, C·H·W) in PyTorch's (c, h, w) order. A tensor that is already flat passes through.
Variable flatten(Pass& pass, const Variable& x);

// The option-A shortcut (He et al. 2016, §4.2): every second pixel, channels zero-padded to `channels`, half of the new
// ones in front. x (N, H, W, C) → (N, ⌈H/2⌉, ⌈W/2⌉, channels).
Variable subsample_pad(Pass& pass, const Variable& x, std::int64_t channels);

// The channels of a, then those of b: (N, H, W, A), (N, H, W, B) → (N, H, W, A + B).
Variable concat(Pass& pass, const Variable& a, const Variable& b);

}  // namespace actgrad
