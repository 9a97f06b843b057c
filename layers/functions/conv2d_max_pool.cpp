#include "layers/functions/conv2d_max_pool.h"

#include "kernels/conv2d_max_pool.h"
#include "kernels/linear.h"
#include "layers/functions/pooling.h"

namespace actgrad {

Variable conv2d_max_pool(Pass& pass, const Variable& x, const Variable& weight, const Variable& bias,
                         const Conv2dOptions& options, const kernels::PoolGeometry& pool) {
  const kernels::Conv2dGeometry g = conv2d_geometry(x.value().shape(), weight.value().shape(), options);
  const kernels::ConvEngine engine = pass.conv_engine;
  const bool records = pass.records(x, weight, bias);
  if (engine != kernels::ConvEngine::automatic || !x.value().device().is_cpu() ||
      !kernels::max_pool_backward_weight_supports(g, pool))
    return max_pool2d(pass, conv2d(pass, x, weight, bias, options), pool);

  const DType dtype = x.value().dtype();
  const Shape shape{g.batch, pool.out(g.out_height()), pool.out(g.out_width()), g.out_channels};
  Tensor p = Tensor::empty(shape, dtype, x.value().device());
  Tensor argmax = records ? Tensor::empty(shape, DType::uint8, x.value().device()) : Tensor();
  kernels::conv2d_max_pool_forward(g, pool, x.value(), weight.value(), bias.value(), p, argmax, engine);
  if (!records) return Variable(p);
  return pass.tape->record(p, [g, pool, engine, argmax, x = x.value(), w = weight.value(), dx = x.gradient(),
                               dw = weight.gradient(), db = bias.gradient()](const Tensor& dp) {
    if (dw.wanted()) {
      auto [target, mode] = dw.target();
      kernels::max_pool_backward_weight(g, pool, dp, argmax, x, target, mode);
    }
    if (db.wanted()) {
      auto [target, mode] = db.target();
      kernels::bias_backward(dp, target, mode);
    }
    if (dx.wanted()) {
      Tensor dy = Tensor::empty(g.output_shape(), dp.dtype(), dp.device());
      kernels::max_pool_backward(dp, argmax, pool, dy, Write::overwrite);
      auto [target, mode] = dx.target();
      kernels::conv2d_backward_data(g, dy, w, target, mode, engine);
    }
  });
}

}  // namespace actgrad
