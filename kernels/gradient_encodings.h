// Two features (2, n) of each gradient: what learned optimizers see in place of a number whose size varies by orders of
// magnitude. Constants: nothing is differentiated through them.
#pragma once

#include "core/tape.h"

namespace actgrad::kernels {

// log(max(|g|, e⁻¹⁰))/10 and clip(e¹⁰·g, −1, 1) (Andrychowicz et al. 2016, appendix A, p = 10).
void log_encoding(const Tensor& g, Tensor& features);

struct RmsEncoding {
  double beta;        // of both averages
  double correction;  // 1 − βᵗ
};
// m = β·m + (1−β)·g; v = β·v + (1−β)·g²; with a hat: divided by the correction.  g/(√v̂ + 1e-8) and m̂/(√v̂ + 1e-8)
// (RNNprop; Lv, Jiang and Li 2017).
void rms_encoding(const Tensor& g, const RmsEncoding& step, Tensor& m, Tensor& v, Tensor& features);

}  // namespace actgrad::kernels
