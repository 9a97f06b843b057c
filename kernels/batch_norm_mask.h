// Batch normalisation's fused ReLU on the way back, for every device's kernels.
#pragma once

namespace actgrad::kernels {

// How the gradient behind the fused ReLU is found from dy.
enum class Mask {
  none,    // no ReLU
  from_x,  // ReLU without residual: the sign of the normalised x, computed again
  from_y,  // ReLU with residual: the sign of y
};

inline Mask mask_in_training(bool relu, bool has_residual) {
  return !relu ? Mask::none : has_residual ? Mask::from_y : Mask::from_x;
}
inline Mask mask_in_evaluation(bool relu) {
  return relu ? Mask::from_y : Mask::none;
}

}  // namespace actgrad::kernels
