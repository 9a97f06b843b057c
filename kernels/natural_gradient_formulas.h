// Scalar formulas of natural_gradient.h, shared by every device.
#pragma once

#include "kernels/formulas.h"

namespace actgrad::kernels::formulas {

// The factor of kl_clip.
ACTGRAD_HOST_DEVICE inline double kl_factor(double sum, double lr, double limit) {
  using std::sqrt;
  const double change = sum * lr * lr;
  return change > limit ? sqrt(limit / change) : 1;
}

// One element of rank_one_direction: k[0]·G + k[1]·b_i·a_j + k[2]·b_i·(bᵀG)_j + k[3]·(Ga)_i·a_j.
// (Sherman and Morrison's formula, written out.)
struct RankOneConstants {
  double k[4];
};
ACTGRAD_HOST_DEVICE inline RankOneConstants rank_one_constants(bool joint, double damping, double aa, double bb,
                                                               double bga) {
  const double inverse = 1 / damping;
  if (joint) return {{inverse, -inverse * bga / (aa * bb + damping), 0, 0}};
  const double both = inverse * inverse, of_a = 1 / (damping + aa), of_b = 1 / (damping + bb);
  return {{both, both * bga * of_a * of_b, -both * of_b, -both * of_a}};
}

}  // namespace actgrad::kernels::formulas
