#pragma once

#include "layers/weighted_layer.h"

namespace actgrad {

// y = x Wᵀ + b.   x (rows, in) → (rows, out). W (out, in) and b (out): uniform ±1/√in unless said otherwise.
class Linear final : public WeightedLayer {
 public:
  Linear(std::int64_t in, std::int64_t out, bool bias = true, Init weight_init = Init::uniform_fan_in);

  Variable forward(Pass& pass, const Variable& x) override;

  Parameter& weight() override { return weight_; }
  Parameter* bias() override { return has_bias_ ? &bias_ : nullptr; }
  std::int64_t out() const override { return weight_.shape[0]; }
  std::int64_t columns() const override { return weight_.shape[1]; }
  std::int64_t rows(const Tensor& x) const override { return x.dim(0); }
  std::int64_t columns_with_bias() const override { return columns() + (has_bias_ ? 1 : 0); }
  void write_input_second_moment(const Tensor& x, Tensor& result) const override;
  void write_input_mean(const Tensor& x, Tensor& result) const override;
  void write_input_covariance(const Tensor& x, Tensor& result) const override;
  void write_input_means(const Tensor& x, Tensor& result) const override;

 private:
  Parameter weight_, bias_;
  bool has_bias_;
};

}  // namespace actgrad
