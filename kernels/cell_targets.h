// What the backward kernels of cells read and write: gradients that may be missing, targets that may be unwanted.
#pragma once

#include "kernels/elementwise.h"
#include "kernels/host_device.h"

namespace actgrad::kernels {

// `gradient`, or zeros.
inline Tensor or_zeros(const Tensor& gradient, const Tensor& like) {
  return gradient ? gradient : Tensor::zeros(like.shape(), like.dtype(), like.device());
}

// Where a gradient goes: written over what is there, or added to it.
template <class T>
struct CellPlace {
  T* to;
  bool adds;
  ACTGRAD_HOST_DEVICE void put(std::int64_t e, T value) const { to[e] = value + (adds ? to[e] : T(0)); }
};

// The target of a gradient, or memory that nobody reads where it is unwanted: loops stay without a branch.
template <class T>
class CellTarget {
 public:
  CellTarget(const GradientTarget& target, const Tensor& like)
      : tensor_(target.tensor ? target.tensor : Tensor::empty(like.shape(), like.dtype(), like.device())),
        adds_(target.tensor && target.mode == Write::accumulate) {}
  CellPlace<T> place() const { return {tensor_.data<T>(), adds_}; }

 private:
  Tensor tensor_;
  bool adds_;
};

}  // namespace actgrad::kernels
