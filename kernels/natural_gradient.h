// What KFAC and Eva do to a layer's gradient besides matrix products. A gradient is (groups, m, n): one matrix for each
// group, outputs by inputs.
#pragma once

#include "core/step_value.h"

namespace actgrad::kernels {

// x[g, i, j] /= left[g, i]·right[g, j] + damping, with x (groups, m, n), left (groups, m), right (groups, n): the
// inverse of a damped Kronecker product in the basis of its factors' eigenvectors.
void divide_by_kronecker(Tensor& x, const Tensor& left, const Tensor& right, double damping);

// KL clip: direction *= min(1, √(limit / (lr² · Σ direction·gradient))), the sum over all elements; unchanged where it
// is not positive, so that nothing clips nothing. Both of one shape.
void kl_clip(Tensor& direction, const Tensor& gradient, const StepValue<double>& lr, double limit);

// The gradient G of each group under curvatures of rank one, from b (groups, m), the mean output gradient, and
// a (groups, n), the mean input (Eva; Zhang et al. 2023):
//   joint:     (1/λ) (G − (bᵀGa)/((aᵀa)(bᵀb) + λ) · b aᵀ)       = (λI + (bbᵀ)⊗(aaᵀ))⁻¹ G
//   separate:  (λI + bbᵀ)⁻¹ G (λI + aaᵀ)⁻¹
enum class RankOne { joint, separate };
void rank_one_direction(const Tensor& gradient, const Tensor& b, const Tensor& a, double damping, RankOne form,
                        Tensor& direction);

}  // namespace actgrad::kernels
