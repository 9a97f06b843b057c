// LAMB's step over the flat buffers (optim/lamb.cpp says where the formulas come from): Adam's direction, scaled by a
// ratio of norms for each parameter tensor. Whatever the number of tensors, a few launches.
#pragma once

#include "core/step_value.h"
#include "kernels/device_list.h"

namespace actgrad::kernels {

struct LambStep {
  double lr, beta1, beta2, eps, weight_decay;
  double correction1, correction2;  // 1 − β₁ᵗ, 1 − β₂ᵗ; 1 without correction
  double trust_max;                 // ∞: no bound
};

// The elements [begin, end) of the flat buffers. `decays`: weight decay acts on them, and they have a trust ratio.
struct LambTensor {
  std::int64_t begin, end;
  bool decays;
  bool operator==(const LambTensor&) const = default;
};

// Tensors, cut into chunks of a few thousand elements: the units that are worked on at the same time, and the terms of
// the norms. So the order of a norm's sum depends on the tensor's size alone, on CPU threads neither.
class LambTensors {
 public:
  struct Chunk {
    std::int64_t begin, end, tensor;
    bool decays;
  };
  LambTensors() = default;
  LambTensors(const std::vector<LambTensor>& list, Device device);

  const std::vector<LambTensor>& list() const { return list_; }
  const DeviceList<Chunk>& chunks() const { return chunks_; }
  const DeviceList<std::int64_t>& first_chunks() const { return first_chunks_; }  // of each tensor; then their number

 private:
  std::vector<LambTensor> list_;
  DeviceList<Chunk> chunks_;
  DeviceList<std::int64_t> first_chunks_;
};

// In every tensor:  m = β₁m + (1−β₁)g;  v = β₂v + (1−β₂)g²;  with u = (m/correction1)/(√v/√correction2 + eps) + wd·p,
// 0/0 counting as 0, returns min(‖p‖/‖u‖, trust_max) of each, (tensors) float64: 1 for ‖p‖/‖u‖ if either is 0, and 1
// where nothing decays (there, u is without wd·p) or there is nothing. p, g, m, v: (n).
Tensor lamb_moments(const Tensor& p, const Tensor& g, Tensor& m, Tensor& v, const LambTensors& tensors,
                    const StepValue<LambStep>& step);

// p −= lr · ratio · u, u as above, from the m and v of this step.
void lamb_step(Tensor& p, const Tensor& m, const Tensor& v, const LambTensors& tensors, const Tensor& ratios,
               const StepValue<LambStep>& step);

}  // namespace actgrad::kernels
