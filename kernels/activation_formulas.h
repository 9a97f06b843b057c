// The activation functions and their derivatives as types, shared by every device's kernels.
#pragma once

#include "kernels/activations.h"
#include "kernels/vector_math.h"

namespace actgrad::kernels::formulas {

struct Sigmoid {
  template <class T>
  ACTGRAD_HOST_DEVICE static T value(T x) {
    return vector_math::sigmoid(x);
  }
  template <class T>
  ACTGRAD_HOST_DEVICE static T slope(T y) {  // the derivative, from the value
    return y * (T(1) - y);
  }
};

struct Tanh {
  template <class T>
  ACTGRAD_HOST_DEVICE static T value(T x) {
    return vector_math::tanh(x);
  }
  template <class T>
  ACTGRAD_HOST_DEVICE static T slope(T y) {
    return T(1) - y * y;
  }
};

struct Elu {
  template <class T>
  ACTGRAD_HOST_DEVICE static T value(T x) {
    return vector_math::elu(x);
  }
  template <class T>
  ACTGRAD_HOST_DEVICE static T slope(T y) {
    return y > T(0) ? T(1) : y + T(1);
  }
};

// f(Sigmoid{}), f(Tanh{}) or f(Elu{}).
template <class F>
void visit_activation(Activation kind, const F& f) {
  switch (kind) {
    case Activation::sigmoid: return f(Sigmoid{});
    case Activation::tanh: return f(Tanh{});
    case Activation::elu: return f(Elu{});
  }
}

}  // namespace actgrad::kernels::formulas
