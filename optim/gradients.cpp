#include "optim/gradients.h"

#include "kernels/norms.h"

namespace actgrad {

// The gaps within a span hold zeros.
Tensor squared_gradient_norm(const ParameterSet& parameters) {
  Tensor norm = Tensor::zeros({1}, DType::float64, parameters.device());
  for (const Span& span : parameters.spans_with_gradient())
    kernels::squared_norm(parameters.gradients().slice(span.begin, span.end), norm, Write::accumulate);
  return norm;
}

void clip_gradients(ParameterSet& parameters, double max_norm, double eps) {
  const Tensor norm = squared_gradient_norm(parameters);
  for (const Span& span : parameters.spans_with_gradient()) {
    Tensor gradients = parameters.gradients().slice(span.begin, span.end);
    kernels::clip_by_norm(gradients, norm, max_norm, eps);
  }
}

}  // namespace actgrad
