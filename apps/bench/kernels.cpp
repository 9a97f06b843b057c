#include "apps/bench/kernels.h"

#include <map>

#include "apps/bench/timing.h"
#include "kernels/batch_norm.h"
#include "kernels/conv2d.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "kernels/optimizer_steps.h"
#include "kernels/pooling.h"
#include "kernels/second_moment.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "layers/model.h"

namespace actgrad::bench {
namespace {

constexpr DType dtype = DType::float32;

// The distinct shapes that a model's layers meet in one forward pass, and how often it convolves each.
struct Shapes : Probe {
  struct Uses {
    int all = 0, backward_data = 0;  // no gradient is wanted of the model's input
  };
  const void* input = nullptr;  // the model's
  std::vector<kernels::Conv2dGeometry> convolutions;
  std::map<kernels::Conv2dGeometry, Uses> uses;
  std::vector<std::array<std::int64_t, 3>> linears;  // rows, in, out

  void on_input(const WeightedLayer& layer, const Tensor& x) override {
    if (const auto* convolution = dynamic_cast<const Conv2d*>(&layer)) {
      const kernels::Conv2dGeometry g = convolution->geometry(x);
      add(convolutions, g);
      ++uses[g].all;
      if (x.raw() != input) ++uses[g].backward_data;
    } else {
      add(linears, {layer.rows(x), layer.columns(), layer.out()});
    }
  }
  template <class T>
  static void add(std::vector<T>& list, const T& item) {
    if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
  }
};

class Bench {
 public:
  KernelReport report;

  template <class Work>
  void arithmetic(const std::string& kernel, const std::string& shape, const std::string& engine, double flops,
                  Work&& work) {
    const double ms = median_ms(work);
    report.results.push_back({kernel, shape, engine, ms, flops / ms * 1e-6});
  }
  // `bytes`: read and written once.
  template <class Work>
  void traffic(const std::string& kernel, const std::string& shape, double bytes, Work&& work) {
    const double ms = median_ms(work);
    report.results.push_back({kernel, shape, "", ms, 0, bytes / ms * 1e-6});
  }
};

double bytes_of(std::initializer_list<Tensor> tensors) {
  double bytes = 0;
  for (const Tensor& tensor : tensors) bytes += static_cast<double>(tensor.bytes());
  return bytes;
}

Tensor in_double(const Tensor& x) {
  Tensor result = Tensor::empty(x.shape(), DType::float64);
  kernels::cast(x, result);
  return result;
}

// The largest |a − exact|, as a share of the largest |exact|.
double error_of(const Tensor& a, const Tensor& exact) {
  double difference = 0, largest = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    const double goal = exact.data<double>()[i];
    difference = std::max(difference, std::abs(static_cast<double>(a.data<float>()[i]) - goal));
    largest = std::max(largest, std::abs(goal));
  }
  return difference / largest;
}

void bench_convolution(Bench& bench, const kernels::Conv2dGeometry& g, const Shapes::Uses& uses) {
  using kernels::ConvEngine;
  const Tensor x = random_tensor(g.input_shape(), dtype), weight = random_tensor(g.weight_shape(), dtype);
  const Tensor dy = random_tensor(g.output_shape(), dtype);
  const Tensor x64 = in_double(x), weight64 = in_double(weight), dy64 = in_double(dy);
  const std::string shape = g.input_shape().to_string() + " -> " + std::to_string(g.out_channels) + ", " +
                            std::to_string(g.kernel_h) + "x" + std::to_string(g.kernel_w) + " stride " +
                            std::to_string(g.stride);
  const double flops = 2.0 * static_cast<double>(g.output_shape().numel() * g.patch_size());
  std::vector<ConvEngine> engines;
  for (const ConvEngine engine : {ConvEngine::im2col, ConvEngine::library, ConvEngine::winograd, ConvEngine::direct})
    if (kernels::engine_for(g, dtype, engine) == engine) engines.push_back(engine);
  const ConvEngine chosen = kernels::engine_for(g, dtype, ConvEngine::automatic);

  // run(result, x, weight, dy, engine)
  const auto direction = [&](const std::string& name, const Shape& result_shape, int times, const auto& run) {
    Tensor result = Tensor::empty(result_shape, dtype), exact = Tensor::empty(result_shape, DType::float64);
    run(exact, x64, weight64, dy64, ConvEngine::im2col);
    for (const ConvEngine engine : engines) {
      bench.arithmetic(name, shape, kernels::name_of(engine), flops, [&] { run(result, x, weight, dy, engine); });
      bench.report.results.back().error = error_of(result, exact);
      bench.report.results.back().uses = engine == chosen ? times : 0;
    }
    bench.report.convolution_gflop += times * flops * 1e-9;
  };
  direction("conv2d forward", g.output_shape(), uses.all,
            [&](Tensor& y, const Tensor& in, const Tensor& w, const Tensor&, ConvEngine engine) {
              kernels::conv2d_forward(g, in, w, Tensor(), y, engine);
            });
  direction("conv2d backward data", g.input_shape(), uses.backward_data,
            [&](Tensor& dx, const Tensor&, const Tensor& w, const Tensor& d, ConvEngine engine) {
              kernels::conv2d_backward_data(g, d, w, dx, Write::overwrite, engine);
            });
  direction("conv2d backward weight", g.weight_shape(), uses.all,
            [&](Tensor& dw, const Tensor& in, const Tensor&, const Tensor& d, ConvEngine engine) {
              kernels::conv2d_backward_weight(g, d, in, dw, Write::overwrite, engine);
            });
  Tensor moment = Tensor::empty({g.groups, g.patch_size()}, dtype);
  bench.traffic("second moment", shape, bytes_of({x}), [&] { kernels::patch_second_moment(g, x, moment); });
}

void bench_linear(Bench& bench, std::int64_t rows, std::int64_t in, std::int64_t out) {
  const Tensor x = random_tensor({rows, in}, dtype), weight = random_tensor({out, in}, dtype),
               dy = random_tensor({rows, out}, dtype);
  const Tensor bias = random_tensor({out}, dtype);
  Tensor y = Tensor::empty({rows, out}, dtype), dx = Tensor::empty({rows, in}, dtype),
         dweight = Tensor::empty({out, in}, dtype);
  Tensor moment = Tensor::empty({1, in}, dtype);
  const std::string shape = Shape({rows, in}).to_string() + " -> " + std::to_string(out);
  const double flops = 2.0 * static_cast<double>(rows * in * out);
  bench.arithmetic("linear forward", shape, "", flops, [&] { kernels::linear_forward(x, weight, bias, y); });
  bench.arithmetic("linear backward input", shape, "", flops,
                   [&] { kernels::linear_backward_input(dy, weight, dx, Write::overwrite); });
  bench.arithmetic("linear backward weight", shape, "", flops,
                   [&] { kernels::linear_backward_weight(dy, x, dweight, Write::overwrite); });
  bench.traffic("second moment", shape, bytes_of({x}), [&] { kernels::second_moment(x, moment); });
}

void bench_batch_norm(Bench& bench, const Shape& shape) {
  const std::int64_t channels = shape[shape.rank() - 1];
  const Tensor x = random_tensor(shape, dtype), dy = random_tensor(shape, dtype);
  const Tensor scale = random_tensor({channels}, dtype), shift = random_tensor({channels}, dtype);
  Tensor y = Tensor::empty(shape, dtype), dx = Tensor::empty(shape, dtype);
  const auto per_channel = [&] { return Tensor::zeros({channels}, dtype); };
  Tensor running_mean = per_channel(), running_variance = per_channel(), mean = per_channel(),
         inverse_std = per_channel();
  const Tensor dscale = per_channel(), dshift = per_channel();
  const kernels::BatchNormOptions options{.relu = true};
  kernels::BatchNormGradients gradients;
  gradients.dx = dx;
  gradients.dscale = dscale;
  gradients.dshift = dshift;
  // Forward reads x twice (statistics, then values), backward reads x and dy twice.
  bench.traffic("batch norm + relu forward", shape.to_string(), bytes_of({x, x, y}), [&] {
    kernels::batch_norm_forward_training(x, Tensor(), scale, shift, running_mean, running_variance, options, y, mean,
                                         inverse_std);
  });
  bench.traffic("batch norm + relu backward", shape.to_string(), bytes_of({x, x, dy, dy, dx}), [&] {
    kernels::batch_norm_backward(dy, x, y, false, scale, shift, mean, inverse_std, options, gradients);
  });
}

void bench_activation(Bench& bench, const Shape& shape) {
  const Tensor x = random_tensor(shape, dtype);
  Tensor y = Tensor::empty(shape, dtype), dx = Tensor::empty(shape, dtype);
  bench.traffic("relu forward", shape.to_string(), bytes_of({x, y}), [&] { kernels::relu_forward(x, y); });
  bench.traffic("relu backward", shape.to_string(), bytes_of({x, y, dx}),
                [&] { kernels::relu_backward(x, y, dx, Write::overwrite); });
}

void bench_pooling(Bench& bench, const Shape& shape) {
  const Tensor x = random_tensor(shape, dtype);
  Tensor dx = Tensor::empty(shape, dtype);
  if (shape[1] >= 2 && shape[2] >= 2) {
    const kernels::PoolGeometry half{.size = 2, .stride = 2};
    const Shape pooled = {shape[0], half.out(shape[1]), half.out(shape[2]), shape[3]};
    Tensor y = Tensor::empty(pooled, dtype), argmax = Tensor::empty(pooled, DType::uint8);
    bench.traffic("max pool 2x2 forward", shape.to_string(), bytes_of({x, y, argmax}),
                  [&] { kernels::max_pool_forward(x, half, y, argmax); });
    bench.traffic("max pool 2x2 backward", shape.to_string(), bytes_of({dx, y, argmax}),
                  [&] { kernels::max_pool_backward(y, argmax, half, dx, Write::overwrite); });
  }
  Tensor mean = Tensor::empty({shape[0], shape[3]}, dtype);
  bench.traffic("global average pool forward", shape.to_string(), bytes_of({x, mean}),
                [&] { kernels::global_avg_pool_forward(x, mean); });
  bench.traffic("global average pool backward", shape.to_string(), bytes_of({dx, mean}),
                [&] { kernels::global_avg_pool_backward(mean, dx, Write::overwrite); });
}

void bench_optimizer_steps(Bench& bench, std::int64_t size) {
  Tensor p = random_tensor({size}, dtype), m = Tensor::zeros({size}, dtype), v = Tensor::zeros({size}, dtype);
  const Tensor g = random_tensor({size}, dtype, 1);
  const std::string shape = Shape({size}).to_string();
  const kernels::SgdStep sgd{
      .lr = 1e-6, .momentum = 0.9, .dampening = 0, .weight_decay = 5e-4, .nesterov = false, .first = false};
  bench.traffic("sgd step", shape, bytes_of({p, p, g, m, m}), [&] { kernels::sgd_step(p, g, m, sgd); });
  const kernels::AdamStep adam{.lr = 1e-6,
                               .beta1 = 0.9,
                               .beta2 = 0.999,
                               .eps = 1e-8,
                               .weight_decay = 5e-4,
                               .decoupled = false,
                               .correction1 = 0.1,
                               .correction2 = 1e-3};
  bench.traffic("adam step", shape, bytes_of({p, p, g, m, m, v, v}), [&] { kernels::adam_step(p, g, m, v, adam); });
}

}  // namespace

KernelReport bench_kernels(const std::string& model_name, std::int64_t batch_size) {
  const InputSpec input;
  const auto model = make_model(model_name, input);
  Shapes shapes;
  {
    Pass pass{.training = true, .probe = &shapes};
    const Tensor images = random_tensor({batch_size, input.height, input.width, input.channels}, dtype);
    shapes.input = images.raw();
    model->forward(pass, images);
  }
  Bench bench;
  std::vector<Shape> activations;
  for (const kernels::Conv2dGeometry& g : shapes.convolutions) {
    bench_convolution(bench, g, shapes.uses.at(g));
    Shapes::add(activations, g.output_shape());
  }
  for (const auto& [rows, in, out] : shapes.linears) bench_linear(bench, rows, in, out);
  for (const Shape& shape : activations) {
    if (!model->buffers().empty()) bench_batch_norm(bench, shape);
    bench_activation(bench, shape);
    bench_pooling(bench, shape);
  }
  bench_optimizer_steps(bench, model->parameters().flat_size());
  return bench.report;
}

}  // namespace actgrad::bench
