#include "kernels/conv2d.h"

#include "kernels/conv2d_engines.h"

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

bool use_library(const Tensor& x, ConvEngine engine) {
  return conv_library_available() && x.numel() > 0 && x.dtype() == DType::float32 && engine != ConvEngine::im2col;
}

bool use_direct(const Conv2dGeometry& g, const Tensor& x, ConvEngine engine) {
  return engine == ConvEngine::automatic && x.dtype() == DType::float32 && direct_suits(g);
}

}  // namespace

ConvEngine parse_conv_engine(const std::string& text) {
  if (text == "auto") return ConvEngine::automatic;
  if (text == "im2col") return ConvEngine::im2col;
  if (text != "library") throw UserError("unknown convolution engine '" + text + "' (known: auto, im2col, library)");
  if (!conv_library_available()) throw UserError("convolution engine 'library': this build has no oneDNN");
  return ConvEngine::library;
}

std::string name_of(ConvEngine engine) {
  switch (engine) {
    case ConvEngine::automatic: return "auto";
    case ConvEngine::im2col: return "im2col";
    case ConvEngine::library: return "library";
  }
  ACTGRAD_CHECK(false, "convolution engine");
}

void conv2d_forward(const Conv2dGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y,
                    ConvEngine engine) {
  check_shapes(g, x, weight, y);
  ACTGRAD_CHECK(!bias || bias.shape() == Shape{g.out_channels}, bias.shape().to_string());
  if (use_direct(g, x, engine))
    direct_forward(g, x, weight, bias, y);
  else if (use_library(x, engine))
    library_forward(g, x, weight, bias, y);
  else
    im2col_forward(g, x, weight, bias, y);
}

void conv2d_backward_data(const Conv2dGeometry& g, const Tensor& dy, const Tensor& weight, Tensor& dx, Write mode,
                          ConvEngine engine) {
  check_shapes(g, dx, weight, dy);
  if (use_direct(g, dy, engine))
    direct_backward_data(g, dy, weight, dx, mode);
  else if (use_library(dy, engine))
    library_backward_data(g, dy, weight, dx, mode);
  else
    im2col_backward_data(g, dy, weight, dx, mode);
}

void conv2d_backward_weight(const Conv2dGeometry& g, const Tensor& dy, const Tensor& x, Tensor& dweight, Write mode,
                            ConvEngine engine) {
  check_shapes(g, x, dweight, dy);
  if (use_direct(g, dy, engine))
    direct_backward_weight(g, dy, x, dweight, mode);
  else if (use_library(dy, engine))
    library_backward_weight(g, dy, x, dweight, mode);
  else
    im2col_backward_weight(g, dy, x, dweight, mode);
}

}  // namespace actgrad::kernels
