#include "layers/conv2d.h"

#include "kernels/covariance.h"
#include "kernels/row_means.h"
#include "kernels/second_moment.h"
#include "layers/functions/conv2d_max_pool.h"
#include "layers/functions/pooling.h"

namespace actgrad {

Conv2d::Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, const Conv2dOptions& options, bool bias,
               Init weight_init)
    : options_(options), has_bias_(bias) {
  ACTGRAD_CHECK(in % options.groups == 0 && out % options.groups == 0, "channels must be multiples of the groups");
  weight_.shape = {out, kernel, kernel, in / options.groups};
  weight_.layout = FileLayout::ohwi_to_oihw;
  weight_.init = weight_init;
  weight_.fan_in = kernel * kernel * (in / options.groups);
  add("weight", weight_);
  if (!bias) return;
  bias_.shape = {out};
  bias_.init = Init::uniform_fan_in;
  bias_.fan_in = weight_.fan_in;
  add("bias", bias_);
}

Variable Conv2d::forward(Pass& pass, const Variable& x) {
  show_input(pass, x);
  return show_output(pass, conv2d(pass, x, weight_.variable, bias_.variable, options_));
}

Variable Conv2d::forward_max_pool(Pass& pass, const Variable& x, const kernels::PoolGeometry& pool) {
  if (shows_output(pass)) return max_pool2d(pass, forward(pass, x), pool);
  show_input(pass, x);
  return conv2d_max_pool(pass, x, weight_.variable, bias_.variable, options_, pool);
}

std::int64_t Conv2d::rows(const Tensor& x) const {
  const kernels::Conv2dGeometry g = geometry(x);
  return g.batch * g.out_height() * g.out_width();
}

void Conv2d::write_input_second_moment(const Tensor& x, Tensor& result) const {
  kernels::patch_second_moment(geometry(x), x, result);
}

void Conv2d::write_input_mean(const Tensor& x, Tensor& result) const {
  kernels::patch_first_moment(geometry(x), x, result);
}

void Conv2d::write_input_covariance(const Tensor& x, Tensor& result) const {
  kernels::patch_covariance(geometry(x), x, has_bias_, result);
}

void Conv2d::write_input_means(const Tensor& x, Tensor& result) const {
  kernels::patch_means(geometry(x), x, has_bias_, result);
}

}  // namespace actgrad
