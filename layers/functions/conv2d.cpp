#include "layers/functions/conv2d.h"

#include "kernels/linear.h"

namespace actgrad {

kernels::Conv2dGeometry conv2d_geometry(const Shape& x, const Shape& weight, const Conv2dOptions& options) {
  ACTGRAD_CHECK(
      x.rank() == 4 && weight.rank() == 4 && x[3] == weight[3] * options.groups && weight[0] % options.groups == 0,
      "conv2d: x " + x.to_string() + ", weight " + weight.to_string());
  kernels::Conv2dGeometry g{.batch = x[0],
                            .height = x[1],
                            .width = x[2],
                            .in_channels = x[3],
                            .out_channels = weight[0],
                            .kernel_h = weight[1],
                            .kernel_w = weight[2],
                            .stride = options.stride,
                            .padding = options.padding,
                            .dilation = options.dilation,
                            .groups = options.groups};
  ACTGRAD_CHECK(g.out_height() > 0 && g.out_width() > 0, "conv2d: image " + x.to_string() + " smaller than the kernel");
  return g;
}

Variable conv2d(Pass& pass, const Variable& x, const Variable& weight, const Variable& bias,
                const Conv2dOptions& options) {
  const kernels::Conv2dGeometry g = conv2d_geometry(x.value().shape(), weight.value().shape(), options);
  const kernels::ConvEngine engine = pass.conv_engine;
  Tensor y = Tensor::empty(g.output_shape(), x.value().dtype(), x.value().device());
  kernels::conv2d_forward(g, x.value(), weight.value(), bias.value(), y, engine);
  if (!pass.records(x, weight, bias)) return Variable(y);
  return pass.tape->record(y, [g, engine, x = x.value(), w = weight.value(), dx = x.gradient(), dw = weight.gradient(),
                               db = bias.gradient()](const Tensor& dy) {
    if (dw.wanted()) {
      auto [target, mode] = dw.target();
      kernels::conv2d_backward_weight(g, dy, x, target, mode, engine);
    }
    if (db.wanted()) {
      auto [target, mode] = db.target();
      kernels::bias_backward(dy, target, mode);
    }
    if (dx.wanted()) {
      auto [target, mode] = dx.target();
      kernels::conv2d_backward_data(g, dy, w, target, mode, engine);
    }
  });
}

}  // namespace actgrad
