#include "kernels/conv2d.h"

#include "kernels/conv2d_engines.h"
#include "kernels/registry.h"
#include "kernels/winograd/convolution.h"

namespace actgrad::kernels {
namespace {

void check_shapes(const Conv2dGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& y) {
  ACTGRAD_CHECK(g.stride > 0 && g.dilation > 0 && g.padding >= 0 && g.groups > 0, "convolution geometry");
  ACTGRAD_CHECK(g.in_channels % g.groups == 0 && g.out_channels % g.groups == 0, "channels not divisible by groups");
  ACTGRAD_CHECK(g.out_height() > 0 && g.out_width() > 0, "kernel larger than the padded image");
  ACTGRAD_CHECK(x.shape() == g.input_shape(), x.shape().to_string());
  ACTGRAD_CHECK(weight.shape() == g.weight_shape(), weight.shape().to_string());
  ACTGRAD_CHECK(y.shape() == g.output_shape(), y.shape().to_string());
  ACTGRAD_CHECK(weight.dtype() == x.dtype() && y.dtype() == x.dtype(), "dtypes differ");
}

// Every output is a sum of products over its patch, in any direction: what an engine saves does not count.
Work work_of(const Conv2dGeometry& g, double bytes) {
  return {
      .bytes = bytes, .flops = 2.0 * static_cast<double>(g.output_shape().numel() * g.patch_size()), .product = true};
}

}  // namespace

ConvEngine parse_conv_engine(const std::string& text, Device device) {
  for (const ConvEngine engine :
       {ConvEngine::automatic, ConvEngine::im2col, ConvEngine::library, ConvEngine::winograd, ConvEngine::direct}) {
    if (text != name_of(engine)) continue;
    if (engine == ConvEngine::library && device.is_cpu() && !conv_library_available())
      throw UserError("convolution engine 'library': this build has no oneDNN");
    return engine;
  }
  throw UserError("unknown convolution engine '" + text + "' (known: auto, im2col, library, winograd, direct)");
}

std::string name_of(ConvEngine engine) {
  switch (engine) {
    case ConvEngine::automatic: return "auto";
    case ConvEngine::im2col: return "im2col";
    case ConvEngine::library: return "library";
    case ConvEngine::winograd: return "winograd";
    case ConvEngine::direct: return "direct";
  }
  ACTGRAD_CHECK(false, "convolution engine");
}

ConvEngine engine_for(const Conv2dGeometry& g, DType dtype, ConvEngine wanted) {
  const bool automatic = wanted == ConvEngine::automatic;
  if (dtype != DType::float32 || g.batch == 0 || wanted == ConvEngine::im2col) return ConvEngine::im2col;
  if (wanted == ConvEngine::winograd ? winograd::supports(g) : automatic && winograd::pays(g))
    return ConvEngine::winograd;
  if (wanted == ConvEngine::direct ? direct_supports(g) : automatic && direct_pays(g)) return ConvEngine::direct;
  return conv_library_available() ? ConvEngine::library : ConvEngine::im2col;
}

void conv2d_forward(const Conv2dGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y,
                    ConvEngine engine) {
  check_shapes(g, x, weight, y);
  ACTGRAD_CHECK(!bias || bias.shape() == Shape{g.out_channels}, bias.shape().to_string());
  const WorkScope work("conv2d_forward", work_of(g, bytes_of(x, weight, bias, y)));
  ACTGRAD_DISPATCH(conv2d_forward, x, g, x, weight, bias, y, engine);
  switch (engine_for(g, x.dtype(), engine)) {
    case ConvEngine::winograd: return winograd::forward(g, x, weight, bias, y);
    case ConvEngine::direct: return direct_forward(g, x, weight, bias, y);
    case ConvEngine::library: return library_forward(g, x, weight, bias, y);
    default: return im2col_forward(g, x, weight, bias, y);
  }
}

void conv2d_backward_data(const Conv2dGeometry& g, const Tensor& dy, const Tensor& weight, Tensor& dx, Write mode,
                          ConvEngine engine) {
  check_shapes(g, dx, weight, dy);
  const WorkScope work("conv2d_backward_data", work_of(g, bytes_of(dy, weight) + bytes_of(dx, mode)));
  ACTGRAD_DISPATCH(conv2d_backward_data, dy, g, dy, weight, dx, mode, engine);
  switch (engine_for(g, dy.dtype(), engine)) {
    case ConvEngine::winograd: return winograd::backward_data(g, dy, weight, dx, mode);
    case ConvEngine::direct: return direct_backward_data(g, dy, weight, dx, mode);
    case ConvEngine::library: return library_backward_data(g, dy, weight, dx, mode);
    default: return im2col_backward_data(g, dy, weight, dx, mode);
  }
}

void conv2d_backward_weight(const Conv2dGeometry& g, const Tensor& dy, const Tensor& x, Tensor& dweight, Write mode,
                            ConvEngine engine) {
  check_shapes(g, x, dweight, dy);
  const WorkScope work("conv2d_backward_weight", work_of(g, bytes_of(dy, x) + bytes_of(dweight, mode)));
  ACTGRAD_DISPATCH(conv2d_backward_weight, dy, g, dy, x, dweight, mode, engine);
  switch (engine_for(g, dy.dtype(), engine)) {
    case ConvEngine::winograd: return winograd::backward_weight(g, dy, x, dweight, mode);
    case ConvEngine::direct: return direct_backward_weight(g, dy, x, dweight, mode);
    case ConvEngine::library: return library_backward_weight(g, dy, x, dweight, mode);
    default: return im2col_backward_weight(g, dy, x, dweight, mode);
  }
}

}  // namespace actgrad::kernels
