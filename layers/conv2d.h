#pragma once

#include "kernels/pooling.h"
#include "layers/functions/conv2d.h"
#include "layers/weighted_layer.h"

namespace actgrad {

// Convolution of x (N, H, W, in) with W (out, kernel, kernel, in/groups), plus b (out): → (N, OH, OW, out).
// Both are uniform ±1/√fan_in, fan_in = kernel²·in/groups, unless said otherwise.
class Conv2d final : public WeightedLayer {
 public:
  Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, const Conv2dOptions& options = {}, bool bias = true,
         Init weight_init = Init::uniform_fan_in);

  Variable forward(Pass& pass, const Variable& x) override;
  // max_pool2d(forward(x)), faster.
  Variable forward_max_pool(Pass& pass, const Variable& x, const kernels::PoolGeometry& pool);

  Parameter& weight() override { return weight_; }
  Parameter* bias() override { return has_bias_ ? &bias_ : nullptr; }
  std::int64_t out() const override { return weight_.shape[0]; }
  std::int64_t columns() const override { return weight_.fan_in; }
  std::int64_t groups() const override { return options_.groups; }
  std::int64_t rows(const Tensor& x) const override;
  std::int64_t columns_with_bias() const override { return columns() + (has_bias_ ? 1 : 0); }
  void write_input_second_moment(const Tensor& x, Tensor& result) const override;
  void write_input_mean(const Tensor& x, Tensor& result) const override;
  void write_input_covariance(const Tensor& x, Tensor& result) const override;
  void write_input_means(const Tensor& x, Tensor& result) const override;

  kernels::Conv2dGeometry geometry(const Tensor& x) const {
    return conv2d_geometry(x.shape(), weight_.shape, options_);
  }

 private:
  Conv2dOptions options_;
  Parameter weight_, bias_;
  bool has_bias_;
};

}  // namespace actgrad
