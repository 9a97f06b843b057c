// One optimizer step over a flat range of parameters: each reads and writes every array once. All arrays have the same
// length. The scalar formulas are the optimizers' (optim/*.cpp says where they come from). Their numbers are step
// values, so that a recorded step takes those of its own time.
#pragma once

#include <limits>

#include "core/step_value.h"
#include "kernels/device_list.h"

namespace actgrad::kernels {

struct SgdStep {
  double lr = 0, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;
  bool first = false;  // the first step of this parameter: buffer = d, dampening not applied
};
// d = g + wd·p;  buf = momentum·buf + (1 − dampening)·d;  p −= lr·(buf, or d + momentum·buf with Nesterov, or d without
// momentum). buffer: undefined exactly when momentum is 0.
void sgd_step(Tensor& p, const Tensor& g, Tensor& buffer, const StepValue<SgdStep>& step);

struct AdamStep {
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled;                   // AdamW: p *= 1 − lr·wd first; else g += wd·p
  double correction1, correction2;  // 1 − β₁ᵗ, 1 − β₂ᵗ
};
// m = β₁m + (1−β₁)g;  v = β₂v + (1−β₂)g²;  p −= (lr/correction1) · m / (√v/√correction2 + eps); 0/0 counts as 0.
void adam_step(Tensor& p, const Tensor& g, Tensor& m, Tensor& v, const StepValue<AdamStep>& step);

struct AdanStep {
  double lr, beta1, beta2, beta3, eps, weight_decay;
  bool proximal;                                 // else decoupled, as in AdamW
  bool first;                                    // nothing before this step counts: averages 0, previous = g
  double correction1, correction2, correction3;  // 1 − β₁ᵗ, 1 − β₂ᵗ, 1 − β₃ᵗ
};
// d = g − previous;  m = β₁m + (1−β₁)g;  v = β₂v + (1−β₂)d;  n = β₃n + (1−β₃)(g + β₂d)²;  previous = g;
// u = (m/correction1 + β₂·v/correction2) / (√n/√correction3 + eps), 0/0 counting as 0;
// p = (p − lr·u)/(1 + lr·wd), or (1 − lr·wd)·p − lr·u.
void adan_step(Tensor& p, const Tensor& g, Tensor& m, Tensor& v, Tensor& n, Tensor& previous,
               const StepValue<AdanStep>& step);

struct AdaActStep {
  double lr = 0, beta1 = 0, weight_decay = 0;
  double correction1 = 1, correction2 = 1;                                  // 1 − β₁ᵗ, 1 − β₂ᵗ
  double eps = 0, low = 0, high = std::numeric_limits<double>::infinity();  // ε, and bounds of the second moment
  double exponent = 0.5;                                                    // p
};
// A piece of the flat buffers: the elements [begin, end) are rows of `columns` elements, whose rates begin at
// rates[rate]; rate −1: parameters of no weighted layer. `decays`: whether weight decay acts on them.
struct AdaActPiece {
  std::int64_t begin, end, columns, rate;
  bool decays = true;
  bool operator==(const AdaActPiece&) const = default;
};
using AdaActPieces = DeviceList<AdaActPiece>;  // in ascending order
// The elements of all pieces, with momentum and one rate per column:
//   m = β₁m + (1−β₁)g;  p = (1 − lr·wd)·p − lr·(m/correction1)·rate[column]
// and without either where rate is −1:   p = (1 − lr·wd)·p − lr·g.   Where a piece does not decay, wd is 0.
// Elements outside of all pieces stay as they are.
void adaact_step(Tensor& p, const Tensor& g, Tensor& m, const Tensor& rates, const AdaActPieces& pieces,
                 const StepValue<AdaActStep>& step);

// v: the moving second moment (any shape). rate = 1/(clamp(v/correction2, low, high)^exponent + eps); 0 where that
// divides by zero (eps = 0 and a dead input, whose gradient is zero for ever).
void adaact_rate(const Tensor& v, const StepValue<AdaActStep>& step, Tensor& rate);

}  // namespace actgrad::kernels
