#include "optim/layer_gradients.h"

#include "kernels/augmented.h"
#include "kernels/elementwise.h"

namespace actgrad {

namespace {

// Zeros for a bias that has none.
Tensor bias_gradient(const LayerGradients::Layer& l) {
  const Parameter* const bias = l.layer->bias();
  if (!bias || bias->variable.has_grad()) return bias ? bias->grad() : Tensor();
  return Tensor::zeros(bias->shape, bias->value().dtype(), bias->value().device());
}

}  // namespace

LayerGradients::LayerGradients(Model& model) {
  constexpr std::int64_t alignment = 16;  // elements
  std::int64_t size = 0;
  std::vector<std::int64_t> begin;
  for (const WeightedLayer* layer : model.weighted_layers()) {
    begin.push_back(size);
    size += (layer->out() * layer->columns_with_bias() + alignment - 1) / alignment * alignment;
  }
  gradients_ = Tensor::zeros({size}, model.dtype(), model.parameters().device());
  directions_ = Tensor::zeros({size}, model.dtype(), model.parameters().device());
  for (std::size_t i = 0; i < begin.size(); ++i) {
    WeightedLayer* const layer = model.weighted_layers()[i];
    const Shape shape{layer->groups(), layer->out() / layer->groups(), layer->columns_with_bias()};
    layers_.push_back({layer, gradients_.view(begin[i], shape), directions_.view(begin[i], shape)});
  }
}

void LayerGradients::gather() {
  for (Layer& l : layers_) {
    if (!l.used()) {
      kernels::fill(l.gradient, 0);
      kernels::fill(l.direction, 0);
      continue;
    }
    Tensor matrix = l.gradient.reshape({l.layer->out(), l.layer->columns_with_bias()});
    kernels::join_bias(l.layer->weight().grad(), bias_gradient(l), matrix);
  }
}

void LayerGradients::scatter() {
  for (Layer& l : layers_) {
    if (!l.used()) continue;
    Tensor weight = l.layer->weight().grad(), bias = bias_gradient(l);
    kernels::split_bias(l.direction.reshape({l.layer->out(), l.layer->columns_with_bias()}), weight, bias);
  }
}

}  // namespace actgrad
