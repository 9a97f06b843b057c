#include "layers/weighted_layer.h"

#include "kernels/covariance.h"
#include "kernels/row_means.h"

namespace actgrad {

void WeightedLayer::write_output_gradient_covariance(const Tensor& dy, Tensor& result) const {
  kernels::group_covariance(dy, groups(), result);
}

void WeightedLayer::write_output_gradient_means(const Tensor& dy, Tensor& result) const {
  kernels::position_means(dy, false, result);
}

}  // namespace actgrad
