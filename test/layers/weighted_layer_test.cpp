#include "layers/weighted_layer.h"

#include "layers/conv2d.h"
#include "layers/functions/cross_entropy.h"
#include "layers/linear.h"
#include "layers/model.h"
#include "test/operation_case.h"

using namespace actgrad;

namespace {

Tensor input_covariance(const WeightedLayer& layer, const Tensor& x) {
  const std::int64_t n = layer.columns_with_bias();
  Tensor result = Tensor::empty({layer.groups(), n, n}, x.dtype());
  layer.write_input_covariance(x, result);
  return result;
}

Tensor input_means(const WeightedLayer& layer, const Tensor& x) {
  Tensor result = Tensor::empty({x.dim(0), layer.groups() * layer.columns_with_bias()}, x.dtype());
  layer.write_input_means(x, result);
  return result;
}

Tensor output_gradient_covariance(const WeightedLayer& layer, const Tensor& dy) {
  const std::int64_t size = layer.out() / layer.groups();
  Tensor result = Tensor::empty({layer.groups(), size, size}, dy.dtype());
  layer.write_output_gradient_covariance(dy, result);
  return result;
}

Tensor output_gradient_means(const WeightedLayer& layer, const Tensor& dy) {
  Tensor result = Tensor::empty({dy.dim(0), layer.out()}, dy.dtype());
  layer.write_output_gradient_means(dy, result);
  return result;
}

// Compares a layer's answers with each other.
struct Questions : Probe {
  int inputs = 0, gradients = 0;

  void on_input(const WeightedLayer& layer, const Tensor& x) override {
    ++inputs;
    INFO(layer.name());
    const std::int64_t d = layer.columns(), n = layer.columns_with_bias();
    const bool bias = const_cast<WeightedLayer&>(layer).bias() != nullptr;
    CHECK(n == d + (bias ? 1 : 0));
    const std::vector<double> a = input_covariance(layer, x).to_vector<double>();
    const std::vector<double> squares = layer.input_second_moment(x).to_vector<double>();
    const std::vector<double> of_samples = input_means(layer, x).to_vector<double>();
    for (std::int64_t j = 0; j < n; ++j) {
      const auto entry = [&](std::int64_t i) { return a[static_cast<std::size_t>(i * n + j)]; };
      // The diagonal is AdaAct's statistic, and the bias' input is always 1.
      CHECK(entry(j) == Approx(j < d ? squares[static_cast<std::size_t>(j)] : 1));
      if (!bias) continue;
      // So the last row holds the means.
      double mean = 0;
      for (std::int64_t sample = 0; sample < x.dim(0); ++sample)
        mean += of_samples[static_cast<std::size_t>(sample * n + j)] / static_cast<double>(x.dim(0));
      CHECK(entry(d) == Approx(mean));
    }
  }
  bool wants_output_gradients() const override { return true; }
  void on_output_gradient(const WeightedLayer& layer, const Tensor& dy) override {
    ++gradients;
    INFO(layer.name());
    const std::vector<double> g = output_gradient_covariance(layer, dy).to_vector<double>();
    const std::vector<double> means = output_gradient_means(layer, dy).to_vector<double>();
    const std::vector<double> values = dy.to_vector<double>();
    const double rows = static_cast<double>(dy.numel() / layer.out());
    double squares = 0, trace = 0, sum = 0, sum_of_means = 0;
    for (const double value : values) squares += value * value, sum += value;
    for (std::int64_t o = 0; o < layer.out(); ++o) trace += g[static_cast<std::size_t>(o * (layer.out() + 1))];
    for (const double mean : means) sum_of_means += mean;
    CHECK(trace == Approx(squares / rows));
    CHECK(sum_of_means * rows / static_cast<double>(dy.dim(0)) == Approx(sum).margin(1e-12));
  }
};

}  // namespace

TEST_CASE("a layer's answers about its inputs and output gradients agree with each other") {
  const auto [name, layers] = GENERATE(table<std::string, int>({{"resnet20", 20}, {"lenet5", 5}}));
  const auto model = make_model(name, {}, DType::float64, 1);
  Questions probe;
  Tape tape;
  Pass pass{.tape = &tape, .training = true, .probe = &probe};
  const Variable logits = model->forward(pass, test::random_tensor({3, 32, 32, 3}, DType::float64, 0));
  tape.backward({cross_entropy(pass, logits, Tensor::from<std::int32_t>({3}, {1, 2, 3})).seed});
  CHECK(probe.inputs == layers);
  CHECK(probe.gradients == layers);
}

TEST_CASE("a 1x1 convolution of one pixel answers as a linear layer does") {
  const bool bias = GENERATE(true, false);
  const Conv2d convolution(16, 6, 1, {}, bias);
  const Linear linear(16, 6, bias);
  const Tensor x = test::random_tensor({7, 16}, DType::float64, 0), dy = test::random_tensor({7, 6}, DType::float64, 1);
  const Tensor image = x.reshape({7, 1, 1, 16}), gradient = dy.reshape({7, 1, 1, 6});
  CHECK(convolution.columns_with_bias() == linear.columns_with_bias());
  CHECK(test::relative_difference(input_covariance(convolution, image), input_covariance(linear, x)) < 1e-14);
  CHECK(test::relative_difference(input_means(convolution, image), input_means(linear, x)) < 1e-14);
  CHECK(test::relative_difference(output_gradient_covariance(convolution, gradient),
                                  output_gradient_covariance(linear, dy)) < 1e-14);
  CHECK(test::relative_difference(output_gradient_means(convolution, gradient), output_gradient_means(linear, dy)) <
        1e-14);
}

TEST_CASE("each group of a convolution has matrices of its own") {
  const Conv2d grouped(8, 4, 3, {.padding = 1, .groups = 2}, true);
  const Conv2d first(4, 2, 3, {.padding = 1}, true);
  const Tensor x = test::random_tensor({2, 5, 5, 8}, DType::float64, 0);
  Tensor of_first = Tensor::empty({2, 5, 5, 4}, DType::float64);
  for (std::int64_t pixel = 0; pixel < 50; ++pixel)
    for (std::int64_t c = 0; c < 4; ++c) of_first.data<double>()[pixel * 4 + c] = x.data<double>()[pixel * 8 + c];
  const Tensor a = input_covariance(grouped, x), means = input_means(grouped, x);
  CHECK(a.shape() == (Shape{2, 37, 37}));
  CHECK(means.shape() == (Shape{2, 74}));
  CHECK(test::relative_difference(a.slice(0, 1), input_covariance(first, of_first)) < 1e-14);
  CHECK(test::relative_difference(means.reshape({4, 37}).slice(0, 1), input_means(first, of_first).slice(0, 1)) <
        1e-14);
  CHECK(output_gradient_covariance(grouped, test::random_tensor({2, 5, 5, 4}, DType::float64, 1)).shape() ==
        (Shape{2, 2, 2}));
}
