// What is counted of each call, beside numbers worked out by hand.
#include "kernels/work.h"

#include "kernels/batch_norm.h"
#include "kernels/conv2d_max_pool.h"
#include "kernels/covariance.h"
#include "kernels/elementwise.h"
#include "kernels/lamb.h"
#include "kernels/linear.h"
#include "kernels/linear_algebra.h"
#include "kernels/norms.h"
#include "kernels/optimizer_steps.h"
#include "values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

Tensor tensor(const Shape& shape, DType dtype = DType::float32) {
  return Tensor::zeros(shape, dtype);
}

// The only call that `body` makes.
template <class Body>
NamedWork only(const Body& body) {
  const std::vector<NamedWork> calls = count_work(body);
  REQUIRE(calls.size() == 1);
  return calls.front();
}

void check(const NamedWork& work, const std::string& function, double bytes, double flops, bool product) {
  CAPTURE(function);
  CHECK(work.function == function);
  CHECK(work.bytes == bytes);
  CHECK(work.flops == flops);
  CHECK(work.product == product);
}

}  // namespace

TEST_CASE("nothing is counted unless somebody asks") {
  Tensor y = tensor({4});
  relu_forward(tensor({4}), y);
  CHECK(count_work([] {}).empty());
  CHECK(count_work([&] { relu_forward(tensor({4}), y); }).size() == 1);
  CHECK_THROWS_AS(count_work([] { throw UserError("a failure"); }), UserError);
  relu_forward(tensor({4}), y);
  CHECK(count_work([] {}).empty());
}

TEST_CASE("a convolution reads and writes each tensor once, whatever computes it") {
  // x 2·5·5·3, w 4·3·3·3, y 2·5·5·4; 200 outputs, each a sum of 27 products.
  const Conv2dGeometry g{2, 5, 5, 3, 4, 3, 3, 1, 1};
  const Tensor x = tensor(g.input_shape()), w = tensor(g.weight_shape()), b = tensor({4});
  Tensor y = tensor(g.output_shape()), dx = tensor(g.input_shape()), dw = tensor(g.weight_shape());
  for (const ConvEngine engine : {ConvEngine::im2col, ConvEngine::automatic}) {
    check(only([&] { conv2d_forward(g, x, w, b, y, engine); }), "conv2d_forward", 4 * (150 + 108 + 4 + 200), 10800,
          true);
    check(only([&] { conv2d_forward(g, x, w, {}, y, engine); }), "conv2d_forward", 4 * (150 + 108 + 200), 10800, true);
    check(only([&] { conv2d_backward_data(g, y, w, dx, Write::accumulate, engine); }), "conv2d_backward_data",
          4 * (200 + 108 + 2 * 150), 10800, true);
    check(only([&] { conv2d_backward_weight(g, y, x, dw, Write::overwrite, engine); }), "conv2d_backward_weight",
          4 * (200 + 150 + 108), 10800, true);
  }
  // Stride 2 with pooling behind it: 2·4·4·4 positions, pooled to 2·2·2·4 with a byte each for the winner.
  const Conv2dGeometry coarse{2, 8, 8, 3, 4, 3, 3, 2, 1};
  Tensor p = tensor({2, 2, 2, 4}), winner = tensor({2, 2, 2, 4}, DType::uint8);
  check(only([&] {
          conv2d_max_pool_forward(coarse, {2, 2, 0}, tensor(coarse.input_shape()), w, b, p, winner,
                                  ConvEngine::automatic);
        }),
        "conv2d_max_pool_forward", 4 * (384 + 108 + 4 + 32) + 32, 2 * 128 * 27, true);
}

TEST_CASE("a linear layer is a product in each direction, its bias none of its own") {
  const Tensor x = tensor({3, 5}, DType::float64), w = tensor({4, 5}, DType::float64), b = tensor({4}, DType::float64);
  Tensor y = tensor({3, 4}, DType::float64), dx = tensor({3, 5}, DType::float64), db = tensor({4}, DType::float64);
  Tensor dw = tensor({4, 5}, DType::float64);
  check(only([&] { linear_forward(x, w, b, y); }), "linear_forward", 8 * (15 + 20 + 4 + 12), 120, true);
  check(only([&] { linear_backward_input(y, w, dx, Write::overwrite); }), "linear_backward_input", 8 * (12 + 20 + 15),
        120, true);
  check(only([&] { linear_backward_weight(y, x, dw, Write::accumulate); }), "linear_backward_weight",
        8 * (12 + 15 + 2 * 20), 120, true);
  check(only([&] { bias_backward(y, db, Write::accumulate); }), "bias_backward", 8 * (12 + 2 * 4), 12, false);
}

TEST_CASE("elementwise functions: const tensors are read, others written, added to when the mode says so") {
  const Tensor x = tensor({6}), y = tensor({6});
  Tensor to = tensor({6});
  check(only([&] { relu_forward(x, to); }), "relu_forward", 48, 6, false);
  check(only([&] { relu_backward(x, y, to, Write::overwrite); }), "relu_backward", 72, 6, false);
  check(only([&] { relu_backward(x, y, to, Write::accumulate); }), "relu_backward", 96, 6, false);
  check(only([&] { scale(to, 2); }), "scale", 48, 6, false);
  check(only([&] { mix(to, 1, x, 2); }), "mix", 72, 18, false);
  check(only([&] { sum(x); }), "sum", 24, 6, false);
}

TEST_CASE("batch normalisation crosses memory once each way") {
  const std::int64_t rows = 10, channels = 3, n = rows * channels;
  const Tensor x = tensor({rows, channels}), residual = tensor({rows, channels}), vector = tensor({channels});
  Tensor mean = tensor({channels}), inverse = tensor({channels}), running = tensor({channels});
  Tensor variance = tensor({channels}), y = tensor({rows, channels});
  // Read: x, residual, scale, shift; written: y, mean, inverse_std; both: the running statistics.
  check(only([&] {
          batch_norm_forward_training(x, residual, vector, vector, running, variance, {.relu = true}, y, mean, inverse);
        }),
        "batch_norm_forward_training", 4 * (3 * n + 8 * channels), 9 * n, false);
  BatchNormGradients to{.dx = tensor({rows, channels}),
                        .dresidual = tensor({rows, channels}),
                        .dresidual_mode = Write::accumulate,
                        .dscale = tensor({channels}),
                        .dshift = tensor({channels})};
  // dy, x, y for the mask, dx, and dresidual twice.
  check(only([&] { batch_norm_backward(x, x, y, true, vector, vector, mean, inverse, {.relu = true}, to); }),
        "batch_norm_backward", 4 * (6 * n + 2 * channels), 10 * n, false);
  // No mask, nothing for a residual.
  to.dresidual = Tensor();
  check(only([&] { batch_norm_backward(x, x, {}, false, vector, vector, mean, inverse, {}, to); }),
        "batch_norm_backward", 4 * (3 * n + 2 * channels), 9 * n, false);
}

TEST_CASE("norms read the gradient once, clipping writes it too") {
  Tensor g = tensor({10}), p = tensor({10}), norm = Tensor::zeros({1}, DType::float64);
  check(only([&] { squared_norm(g, norm, Write::overwrite); }), "squared_norm", 4 * 10, 20, false);
  check(only([&] { clip_by_norm(g, norm, 1, 0); }), "clip_by_norm", 4 * 20, 10, false);
  check(only([&] { add_scaled_by_norm(p, g, norm, 1); }), "add_scaled_by_norm", 4 * 30, 20, false);
}

TEST_CASE("optimizer steps read the gradient and move everything else") {
  Tensor p = tensor({10}), m = tensor({10}), v = tensor({10}), none;
  const Tensor g = tensor({10});
  const auto sgd = [](double momentum, bool nesterov) {
    return StepValue<SgdStep>(
        {.lr = 0.1, .momentum = momentum, .dampening = 0, .weight_decay = 0, .nesterov = nesterov, .first = false});
  };
  check(only([&] { sgd_step(p, g, none, sgd(0, false)); }), "sgd_step", 4 * 30, 40, false);
  check(only([&] { sgd_step(p, g, m, sgd(0.9, false)); }), "sgd_step", 4 * 50, 70, false);
  check(only([&] { sgd_step(p, g, m, sgd(0.9, true)); }), "sgd_step", 4 * 50, 90, false);
  const StepValue<AdamStep> adam({.lr = 0.1,
                                  .beta1 = 0.9,
                                  .beta2 = 0.99,
                                  .eps = 1e-8,
                                  .weight_decay = 0,
                                  .decoupled = false,
                                  .correction1 = 1,
                                  .correction2 = 1});
  check(only([&] { adam_step(p, g, m, v, adam); }), "adam_step", 4 * 70, 160, false);
  Tensor n = tensor({10}), previous = tensor({10});
  check(only([&] { adan_step(p, g, m, v, n, previous, StepValue<AdanStep>(AdanStep{})); }), "adan_step", 4 * 110, 240,
        false);
  const LambTensors tensors({{0, 3, true}, {4, 8, false}}, Device{});  // seven elements
  const StepValue<LambStep> lamb(LambStep{});
  Tensor ratios;
  check(only([&] { ratios = lamb_moments(p, g, m, v, tensors, lamb); }), "lamb_moments", 4 * 7 * 6, 7 * 18, false);
  check(only([&] { lamb_step(p, m, v, tensors, ratios, lamb); }), "lamb_step", 4 * 7 * 4, 7 * 9, false);
  // Six elements of a weighted layer with three rates, two of none, two in no piece.
  const Tensor rates = tensor({3});
  const AdaActPieces pieces({{0, 6, 3, 0}, {6, 8, 1, -1}}, Device{});
  check(only([&] { adaact_step(p, g, m, rates, pieces, StepValue<AdaActStep>(AdaActStep{})); }), "adaact_step",
        4 * (3 + 5 * 6 + 3 * 2), 7 * 6 + 3 * 2, false);
}

TEST_CASE("covariances and products of matrices count a triangle and every term") {
  Tensor result = tensor({1, 4, 4});  // of five rows (3 numbers and a 1): 5 · 4 · 5 / 2 products
  check(only([&] { covariance(tensor({5, 3}), true, result); }), "covariance", 4 * (15 + 16), 100, true);
  const Conv2dGeometry g{2, 3, 3, 4, 2, 2, 2, 1, 0, 1, 2};  // eight patches of two groups' 8 numbers
  Tensor patches = tensor({2, 8, 8});
  check(only([&] { patch_covariance(g, tensor(g.input_shape()), false, patches); }), "patch_covariance", 4 * (72 + 128),
        2 * 8 * 8 * 9, true);
  Tensor c = tensor({2, 3, 5});
  check(only([&] {
          matrix_product(Transpose::no, Transpose::no, tensor({2, 3, 4}), tensor({2, 4, 5}), c, Write::accumulate);
        }),
        "matrix_product", 4 * (24 + 40 + 2 * 30), 2 * 2 * 3 * 4 * 5, true);
}
