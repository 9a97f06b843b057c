// The gradients of all weighted layers as matrices [W | b], and what an optimizer makes of them.
#pragma once

#include <vector>

#include "kernels/linear_algebra.h"
#include "layers/model.h"

namespace actgrad {

class LayerGradients {
 public:
  explicit LayerGradients(Model& model);

  struct Layer {
    WeightedLayer* layer;
    Tensor gradient, direction;  // (groups, out/groups, columns_with_bias)
    bool used() const { return layer->weight().variable.has_grad(); }
  };
  std::vector<Layer>& layers() { return layers_; }

  // The parameters' gradients to `gradient`; where a layer has none, both are zero.
  void gather();
  // `direction` to the parameters' gradients, of the layers that have one.
  void scatter();

  // G := G · matrix of the i-th layer, (groups, n, n), in the parameters' gradients: gathered, multiplied, scattered.
  template <class MatrixOf>
  void multiply_by(const MatrixOf& matrix_of) {
    gather();
    for (std::size_t i = 0; i < layers_.size(); ++i)
      if (layers_[i].used())
        kernels::matrix_product(kernels::Transpose::no, kernels::Transpose::no, layers_[i].gradient, matrix_of(i),
                                layers_[i].direction, Write::overwrite);
    scatter();
  }

  // Those of all layers, one behind the other; what lies between them is zero.
  const Tensor& gradients() const { return gradients_; }
  Tensor& directions() { return directions_; }

 private:
  std::vector<Layer> layers_;
  Tensor gradients_, directions_;
};

}  // namespace actgrad
