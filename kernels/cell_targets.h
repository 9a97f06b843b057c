// What the backward kernels of cells read and write: gradients that may be missing, targets that may be unwanted.
#pragma once

#include "kernels/elementwise.h"

namespace actgrad::kernels {

// `gradient`, or zeros.
inline Tensor or_zeros(const Tensor& gradient, const Tensor& like) {
  return gradient ? gradient : Tensor::zeros(like.shape(), like.dtype(), like.device());
}

// A place to write: the target, or memory that nobody reads.
template <class T>
struct CellTarget {
  Tensor tensor;
  T* to;
  bool adds;
  CellTarget(const GradientTarget& target, const Tensor& like)
      : tensor(target.tensor ? target.tensor : Tensor::empty(like.shape(), like.dtype(), like.device())),
        to(tensor.data<T>()),
        adds(target.tensor && target.mode == Write::accumulate) {}
};

}  // namespace actgrad::kernels
