#include "layers/linear.h"

#include "kernels/covariance.h"
#include "kernels/row_means.h"
#include "kernels/second_moment.h"
#include "layers/functions/linear.h"

namespace actgrad {

Linear::Linear(std::int64_t in, std::int64_t out, bool bias, Init weight_init) : has_bias_(bias) {
  weight_.shape = {out, in};
  weight_.init = weight_init;
  weight_.fan_in = in;
  add("weight", weight_);
  if (!bias) return;
  bias_.shape = {out};
  bias_.init = Init::uniform_fan_in;
  bias_.fan_in = in;
  add("bias", bias_);
}

Variable Linear::forward(Pass& pass, const Variable& x) {
  show_input(pass, x);
  return show_output(pass, linear(pass, x, weight_.variable, bias_.variable));
}

void Linear::write_input_second_moment(const Tensor& x, Tensor& result) const {
  kernels::second_moment(x, result);
}

void Linear::write_input_mean(const Tensor& x, Tensor& result) const {
  kernels::first_moment(x, result);
}

void Linear::write_input_covariance(const Tensor& x, Tensor& result) const {
  kernels::covariance(x, has_bias_, result);
}

void Linear::write_input_means(const Tensor& x, Tensor& result) const {
  kernels::position_means(x, has_bias_, result);
}

}  // namespace actgrad
