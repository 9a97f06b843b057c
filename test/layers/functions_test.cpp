// Gradient checks of every differentiable function.
#include "layers/functions/add.h"
#include "layers/functions/batch_norm.h"
#include "layers/functions/conv2d.h"
#include "layers/functions/conv2d_max_pool.h"
#include "layers/functions/cross_entropy.h"
#include "layers/functions/dropout.h"
#include "layers/functions/linear.h"
#include "layers/functions/pooling.h"
#include "layers/functions/relu.h"
#include "layers/functions/reshape.h"
#include "layers/functions/squared_error.h"
#include "layers/functions/standardise.h"
#include "test/operation_case.h"

using namespace actgrad;
using test::OperationCase;

namespace {

OperationCase conv_case(const std::string& name, const Shape& x, const Shape& weight, const Conv2dOptions& options,
                        kernels::ConvEngine engine = kernels::ConvEngine::automatic) {
  return {"conv2d " + name, {x, weight, {weight[0]}}, [=](Pass& pass, const std::vector<Variable>& in) {
            pass.conv_engine = engine;
            return conv2d(pass, in[0], in[1], in[2], options);
          }};
}

OperationCase conv_max_pool_case(const std::string& name, const Shape& x, const Shape& weight,
                                 const Conv2dOptions& options, const kernels::PoolGeometry& pool) {
  return {"conv2d_max_pool " + name, {x, weight, {weight[0]}}, [=](Pass& pass, const std::vector<Variable>& in) {
            return conv2d_max_pool(pass, in[0], in[1], in[2], options, pool);
          }};
}

// inputs: x, scale, shift [, residual]
OperationCase batch_norm_case(const std::string& name, const Shape& x, bool relu, bool residual, bool training = true) {
  const Shape channels{x[x.rank() - 1]};
  std::vector<Shape> shapes = {x, channels, channels};
  if (residual) shapes.push_back(x);
  return {"batch_norm " + name, shapes,
          [=](Pass& pass, const std::vector<Variable>& in) {
            const DType dtype = in[0].value().dtype();
            Tensor mean = test::random_tensor(channels, dtype, 50), variance = test::random_tensor(channels, dtype, 51);
            kernels::visit_floating(dtype, [&]<class T>() {  // variances are positive
              for (std::int64_t i = 0; i < variance.numel(); ++i)
                variance.data<T>()[i] = std::abs(variance.data<T>()[i]) + T(0.5);
            });
            return batch_norm(pass, in[0], residual ? in[3] : Variable(), in[1], in[2], mean, variance, {.relu = relu});
          },
          training};
}

OperationCase function_case(const std::string& name, std::vector<Shape> shapes,
                            std::function<Variable(Pass&, const std::vector<Variable>&)> function) {
  return {name, std::move(shapes), std::move(function)};
}

}  // namespace

TEST_CASE("gradients of concatenation") {
  const auto concat_case = [](const Shape& a, const Shape& b) {
    return function_case("concat", {a, b},
                         [](Pass& pass, const std::vector<Variable>& in) { return concat(pass, in[0], in[1]); });
  };
  test::check(concat_case({2, 3, 4, 5}, {2, 3, 4, 2}));
  test::check(concat_case({1, 1, 1, 1}, {1, 1, 1, 1}));
  test::check(concat_case({3, 2, 5, 8}, {3, 2, 5, 16}));
}

TEST_CASE("gradients of convolutions") {
  test::check(conv_case("3x3 padding 1", {2, 5, 4, 3}, {4, 3, 3, 3}, {.padding = 1}));
  test::check(conv_case("stride 2, odd size", {2, 7, 5, 2}, {3, 3, 3, 2}, {.stride = 2, .padding = 1}));
  test::check(conv_case("5x5 without padding", {1, 6, 7, 2}, {2, 5, 5, 2}, {}));
  test::check(conv_case("1x1", {2, 3, 3, 4}, {5, 1, 1, 4}, {}));
  test::check(conv_case("1x1 stride 2", {2, 4, 4, 3}, {2, 1, 1, 3}, {.stride = 2}));
  test::check(conv_case("dilation 2", {1, 7, 7, 2}, {2, 3, 3, 2}, {.padding = 2, .dilation = 2}));
  test::check(conv_case("groups 2", {2, 4, 4, 4}, {6, 3, 3, 2}, {.padding = 1, .groups = 2}));
  test::check(conv_case("depthwise", {2, 4, 4, 3}, {3, 3, 3, 1}, {.padding = 1, .groups = 3}));
  test::check(conv_case("one pixel", {1, 1, 1, 1}, {1, 1, 1, 1}, {}));
  test::check(conv_case("by im2col", {2, 5, 4, 3}, {4, 3, 3, 3}, {.padding = 1}, kernels::ConvEngine::im2col));
  test::check(conv_case("16 channels", {1, 4, 4, 16}, {16, 3, 3, 16}, {.padding = 1}));
}

TEST_CASE("gradients of convolutions with max pooling") {
  test::check(conv_max_pool_case("5x5", {2, 8, 10, 3}, {4, 5, 5, 3}, {}, {2, 2}));
  test::check(conv_max_pool_case("odd sizes, padding", {3, 7, 6, 2}, {3, 3, 3, 2}, {.padding = 1}, {2, 2}));
  test::check(conv_max_pool_case("overlapping windows", {2, 7, 7, 2}, {3, 3, 2, 2}, {.padding = 1}, {3, 2, 1}));
  test::check(conv_max_pool_case("long kernel rows", {1, 4, 6, 19}, {2, 2, 4, 19}, {}, {2, 2}));
  test::check(conv_max_pool_case("9 images, in vector lanes", {9, 7, 6, 2}, {3, 3, 3, 2}, {}, {2, 2}));
  test::check(conv_max_pool_case("one pixel", {1, 1, 1, 1}, {1, 1, 1, 1}, {}, {1, 2}));
  test::check(conv_max_pool_case("as two functions: stride 2", {2, 7, 5, 2}, {3, 3, 3, 2}, {.stride = 2}, {2, 2}));
  test::check(conv_max_pool_case("as two functions: stride 1", {2, 5, 5, 2}, {3, 3, 3, 2}, {}, {2, 1}));
}

TEST_CASE("gradients of batch normalisation") {
  test::check(batch_norm_case("plain", {3, 4, 3, 5}, false, false));
  test::check(batch_norm_case("relu", {3, 4, 3, 5}, true, false));
  test::check(batch_norm_case("residual", {3, 4, 3, 5}, false, true));
  test::check(batch_norm_case("residual and relu", {3, 4, 3, 5}, true, true));
  test::check(batch_norm_case("16 channels, residual and relu", {2, 3, 3, 16}, true, true));
  test::check(batch_norm_case("one channel", {7, 1, 1, 1}, true, false));
  test::check(batch_norm_case("rows", {6, 4}, false, false));
  test::check(batch_norm_case("evaluation", {3, 2, 3, 5}, false, false, false));
  test::check(batch_norm_case("evaluation, relu", {3, 2, 3, 5}, true, false, false));
  test::check(batch_norm_case("evaluation, residual and relu", {3, 2, 3, 5}, true, true, false));
}

TEST_CASE("standardising over the batch: each element's mean is 0 and its variance 1, and the gradient") {
  const auto standardise = [](Pass& pass, const std::vector<Variable>& in) {
    return standardise_over_batch(pass, in[0], 1e-5);
  };
  for (const Shape& shape : {Shape{5, 2, 3, 2}, Shape{3, 7}}) {
    test::check({"training", {shape}, standardise});
    test::check({"evaluation", {shape}, standardise, /*training=*/false});
    Pass pass;
    const Tensor y = standardise(pass, {Variable(test::random_tensor(shape, DType::float64, 0))}).value();
    const std::int64_t elements = y.numel() / shape[0];
    for (std::int64_t i = 0; i < elements; ++i) {
      double sum = 0, squares = 0;
      for (std::int64_t n = 0; n < shape[0]; ++n) {
        const double value = y.data<double>()[n * elements + i];
        sum += value;
        squares += value * value;
      }
      CHECK(std::abs(sum) < 1e-12);
      CHECK(std::abs(squares / static_cast<double>(shape[0]) - 1) < 1e-2);  // ε is added to the variance
    }
  }
}

TEST_CASE("the squared error and its gradient") {
  Variable y(Tensor::from<double>({1, 3}, {1, -2, 0.5}), true);
  Tape tape;
  Pass pass{.tape = &tape, .training = true};
  const Loss loss = squared_error(pass, y, Tensor::from<double>({1, 3}, {0, 1, 0.5}));
  CHECK(std::abs(loss.mean() - 10.0 / 3) < 1e-15);
  CHECK(loss.correct() == 0);
  const std::vector<double> gradient = loss.seed.gradient.to_vector<double>();
  const std::vector<double> expected = {2.0 / 3, -2, 0};
  for (std::size_t i = 0; i < 3; ++i) CHECK(std::abs(gradient[i] - expected[i]) < 1e-15);
}

TEST_CASE("gradients of linear, relu, add") {
  test::check(function_case("linear", {{5, 7}, {3, 7}, {3}},
                            [](Pass& pass, const auto& in) { return linear(pass, in[0], in[1], in[2]); }));
  test::check(function_case("linear without bias", {{1, 2}, {1, 2}},
                            [](Pass& pass, const auto& in) { return linear(pass, in[0], in[1], {}); }));
  test::check(function_case("relu", {{4, 3, 3, 5}}, [](Pass& pass, const auto& in) { return relu(pass, in[0]); }));
  test::check(
      function_case("add", {{4, 9}, {4, 9}}, [](Pass& pass, const auto& in) { return add(pass, in[0], in[1]); }));
  test::check(function_case("x + x", {{4, 9}}, [](Pass& pass, const auto& in) { return add(pass, in[0], in[0]); }));
}

TEST_CASE("gradients of pooling and reshaping") {
  const auto pool = [](auto function, const kernels::PoolGeometry& geometry) {
    return [=](Pass& pass, const std::vector<Variable>& in) { return function(pass, in[0], geometry); };
  };
  test::check(function_case("max pool 2", {{2, 6, 4, 3}}, pool(max_pool2d, {2, 2})));
  test::check(function_case("max pool 2, odd size", {{2, 5, 7, 3}}, pool(max_pool2d, {2, 2})));
  test::check(function_case("max pool 3 stride 2 padding 1", {{2, 7, 6, 2}}, pool(max_pool2d, {3, 2, 1})));
  test::check(function_case("avg pool 2", {{2, 6, 4, 3}}, pool(avg_pool2d, {2, 2})));
  test::check(function_case("avg pool 3 stride 1 padding 1", {{2, 5, 4, 3}}, pool(avg_pool2d, {3, 1, 1})));
  test::check(function_case("global average pool", {{2, 3, 5, 4}},
                            [](Pass& pass, const auto& in) { return global_avg_pool(pass, in[0]); }));
  test::check(
      function_case("flatten", {{2, 3, 5, 4}}, [](Pass& pass, const auto& in) { return flatten(pass, in[0]); }));
  test::check(function_case("flatten rows", {{2, 3}},
                            [](Pass& pass, const auto& in) { return relu(pass, flatten(pass, in[0])); }));
  test::check(function_case("subsample and pad", {{2, 5, 4, 4}},
                            [](Pass& pass, const auto& in) { return subsample_pad(pass, in[0], 8); }));
}

TEST_CASE("gradient of dropout: the backward pass uses the forward pass's mask") {
  test::check(function_case("dropout", {{6, 9}}, [](Pass& pass, const auto& in) {
    pass.dropout_offset = 7;
    return dropout(pass, in[0], 0.7);
  }));
  Pass evaluation;
  const Variable x(test::random_tensor({3, 4}, DType::float32, 0));
  CHECK(dropout(evaluation, x, 0.5).value().raw() == x.value().raw());
}

TEST_CASE("gradient of cross-entropy") {
  const Tensor labels = Tensor::from<std::int32_t>({4}, {2, 0, 1, 2});
  Tape tape;
  Pass pass{.tape = &tape, .training = true};
  Variable logits(test::random_tensor({4, 3}, DType::float64, 0), true);
  const double factor = 0.25;
  const Loss loss = cross_entropy(pass, logits, labels, factor);
  Tensor numeric = Tensor::empty({4, 3}, DType::float64);
  for (std::int64_t i = 0; i < 12; ++i) {
    double& value = logits.value().data<double>()[i];
    const double before = value, h = 1e-5;
    Pass no_tape;
    value = before + h;
    const double above = cross_entropy(no_tape, logits, labels).mean();
    value = before - h;
    const double below = cross_entropy(no_tape, logits, labels).mean();
    value = before;
    numeric.data<double>()[i] = factor * (above - below) / (2 * h);
  }
  CHECK(test::relative_difference(loss.seed.gradient, numeric) < 1e-6);
  // logits that are the result of a function: the seed goes through the tape
  Variable x(test::random_tensor({4, 3}, DType::float64, 1), true);
  const Loss deeper = cross_entropy(pass, relu(pass, x), labels);
  tape.backward({deeper.seed});
  CHECK(x.has_grad());
}
