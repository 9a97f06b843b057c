#include "kernels/batch_norm.h"

#include "kernels/parallel.h"
#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

// All tensors of one batch normalisation.
struct Case {
  Tensor x, residual, scale, shift, running_mean, running_variance, y, mean, inverse_std;
  BatchNormOptions options;

  void forward() {
    batch_norm_forward_training(x, residual, scale, shift, running_mean, running_variance, options, y, mean,
                                inverse_std);
  }
  void forward_evaluation() {
    batch_norm_forward_evaluation(x, residual, scale, shift, running_mean, running_variance, options, y);
  }
};

template <class T>
Case make_case(const Shape& shape, bool relu, bool residual) {
  const Shape channels{shape[shape.rank() - 1]};
  Case k;
  k.x = random_tensor<T>(shape, 1, -1, 2);
  if (residual) k.residual = random_tensor<T>(shape, 2);
  k.scale = random_tensor<T>(channels, 3, 0.5, 1.5);
  k.shift = random_tensor<T>(channels, 4);
  k.running_mean = random_tensor<T>(channels, 5);
  k.running_variance = random_tensor<T>(channels, 6, 0.5, 1.5);
  k.y = Tensor::empty(shape, k.x.dtype());
  k.mean = Tensor::empty(channels, k.x.dtype());
  k.inverse_std = Tensor::empty(channels, k.x.dtype());
  k.options.relu = relu;
  return k;
}

// The formulas of the header in plain double loops.
struct Reference {
  std::vector<double> y, mean, variance;  // variance: biased
  Reference(const Case& k, bool training) {
    const std::vector<double> x = doubles(k.x), scale = doubles(k.scale), shift = doubles(k.shift);
    const std::vector<double> residual = k.residual ? doubles(k.residual) : std::vector<double>(x.size());
    const std::size_t channels = scale.size(), rows = x.size() / channels;
    mean = training ? std::vector<double>(channels) : doubles(k.running_mean);
    variance = training ? std::vector<double>(channels) : doubles(k.running_variance);
    const double n = static_cast<double>(rows);
    if (training) {
      for (std::size_t i = 0; i < x.size(); ++i) mean[i % channels] += x[i] / n;
      for (std::size_t i = 0; i < x.size(); ++i) variance[i % channels] += std::pow(x[i] - mean[i % channels], 2) / n;
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t c = i % channels;
      const double value =
          scale[c] * (x[i] - mean[c]) / std::sqrt(variance[c] + k.options.eps) + shift[c] + residual[i];
      y.push_back(k.options.relu ? std::max(value, 0.0) : value);
    }
  }
};

struct ReferenceGradients {
  std::vector<double> dx, dresidual, dscale, dshift;
  ReferenceGradients(const Case& k, const Tensor& dy, bool training) {
    const Reference forward(k, training);
    const std::vector<double> x = doubles(k.x), scale = doubles(k.scale);
    const std::size_t channels = scale.size();
    const double n = static_cast<double>(x.size() / channels);
    dresidual = doubles(dy);
    dscale.resize(channels), dshift.resize(channels);
    std::vector<double> normalised(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t c = i % channels;
      if (k.options.relu && !(forward.y[i] > 0)) dresidual[i] = 0;
      normalised[i] = (x[i] - forward.mean[c]) / std::sqrt(forward.variance[c] + k.options.eps);
      dscale[c] += dresidual[i] * normalised[i];
      dshift[c] += dresidual[i];
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t c = i % channels;
      const double factor = scale[c] / std::sqrt(forward.variance[c] + k.options.eps);
      dx.push_back(factor * (dresidual[i] - (training ? dshift[c] / n + normalised[i] * dscale[c] / n : 0)));
    }
  }
};

BatchNormGradients random_gradients(const Case& k, Write mode) {
  const auto like = [](const Tensor& x, std::uint64_t stream) {
    return x.dtype() == DType::float32 ? random_tensor<float>(x.shape(), stream)
                                       : random_tensor<double>(x.shape(), stream);
  };
  BatchNormGradients g{like(k.x, 21), mode, {}, mode, like(k.scale, 22), mode, like(k.shift, 23), mode};
  if (k.residual) g.dresidual = like(k.x, 24);
  return g;
}

template <class T>
void check_against_reference(const Shape& shape, bool relu, bool residual, double tolerance) {
  CAPTURE(shape.to_string(), relu, residual);
  Case k = make_case<T>(shape, relu, residual);
  const std::vector<double> old_mean = doubles(k.running_mean), old_variance = doubles(k.running_variance);
  const Reference evaluation(k, false);
  k.forward_evaluation();
  CHECK(distance(k.y, evaluation.y) < tolerance);

  const Reference expected(k, true);
  k.forward();
  CHECK(distance(k.y, expected.y) < tolerance);
  CHECK(distance(k.mean, expected.mean) < tolerance);
  const double rows = static_cast<double>(k.x.numel() / shape[shape.rank() - 1]);
  for (std::size_t c = 0; c < expected.mean.size(); ++c) {
    CHECK(doubles(k.inverse_std)[c] == Approx(1 / std::sqrt(expected.variance[c] + 1e-5)).epsilon(tolerance));
    CHECK(doubles(k.running_mean)[c] == Approx(0.9 * old_mean[c] + 0.1 * expected.mean[c]).margin(tolerance));
    CHECK(doubles(k.running_variance)[c] ==
          Approx(0.9 * old_variance[c] + 0.1 * expected.variance[c] * rows / (rows - 1)).epsilon(tolerance));
  }

  const Tensor dy = random_tensor<T>(shape, 11);
  const ReferenceGradients gradients(k, dy, true);
  for (const Write mode : {Write::overwrite, Write::accumulate}) {
    const BatchNormGradients g = random_gradients(k, mode);
    const auto wanted = [&](const Tensor& before, const std::vector<double>& gradient) {
      return mode == Write::overwrite ? gradient : plus(before, gradient);
    };
    const std::vector<double> dx = wanted(g.dx, gradients.dx), dscale = wanted(g.dscale, gradients.dscale);
    const std::vector<double> dshift = wanted(g.dshift, gradients.dshift);
    const std::vector<double> dresidual = residual ? wanted(g.dresidual, gradients.dresidual) : std::vector<double>();
    batch_norm_backward(dy, k.x, k.y, residual, k.scale, k.shift, k.mean, k.inverse_std, k.options, g);
    CHECK(distance(g.dx, dx) < 10 * tolerance);
    CHECK(distance(g.dscale, dscale) < 10 * rows * tolerance);
    CHECK(distance(g.dshift, dshift) < 10 * rows * tolerance);
    if (residual) CHECK(distance(g.dresidual, dresidual) < tolerance);
  }
}

struct ThreadCount {
  explicit ThreadCount(int count) : before(threads()) { set_threads(count); }
  ~ThreadCount() { set_threads(before); }
  int before;
};

}  // namespace

TEST_CASE("batch norm follows its formulas for every number of channels") {
  const std::int64_t channels = GENERATE(1, 3, 7, 8, 16, 17, 32, 48, 64, 100, 200);
  for (const bool relu : {false, true})
    for (const bool residual : {false, true}) {
      check_against_reference<double>({3, 5, 3, channels}, relu, residual, 1e-12);
      check_against_reference<float>({3, 5, 3, channels}, relu, residual, 1e-5);
    }
}

TEST_CASE("batch norm follows its formulas over several threads and chunks, and for rank 2") {
  const ThreadCount three(3);
  const Shape shape = GENERATE(Shape{37, 20, 20, 7}, Shape{11, 33, 16, 16}, Shape{2999, 33}, Shape{2, 64});
  for (const bool relu : {false, true})
    for (const bool residual : {false, true}) {
      check_against_reference<double>(shape, relu, residual, 1e-11);
      check_against_reference<float>(shape, relu, residual, 2e-5);
    }
}

TEST_CASE("gradients of batch norm agree with finite differences") {
  const bool relu = GENERATE(false, true), residual = GENERATE(false, true), training = GENERATE(false, true);
  CAPTURE(relu, residual, training);
  Case k = make_case<double>({3, 2, 3, 5}, relu, residual);
  const Tensor dy = random_tensor<double>(k.x.shape(), 11);
  const Tensor running_mean = k.running_mean.clone(), running_variance = k.running_variance.clone();
  const auto loss = [&] {
    k.running_mean.copy_from(running_mean);
    k.running_variance.copy_from(running_variance);
    training ? k.forward() : k.forward_evaluation();
    return dot(k.y, dy);
  };
  loss();
  const BatchNormGradients g = random_gradients(k, Write::overwrite);
  if (training)
    batch_norm_backward(dy, k.x, k.y, residual, k.scale, k.shift, k.mean, k.inverse_std, k.options, g);
  else
    batch_norm_backward_evaluation(dy, k.x, k.y, k.scale, running_mean, running_variance, k.options, g);
  CHECK(gradient_error(g.dx, k.x, loss) < 1e-6);
  CHECK(gradient_error(g.dscale, k.scale, loss) < 1e-6);
  CHECK(gradient_error(g.dshift, k.shift, loss) < 1e-6);
  if (residual) CHECK(gradient_error(g.dresidual, k.residual, loss) < 1e-6);
}

TEST_CASE("evaluation gradients of batch norm accumulate") {
  const Case made = make_case<float>({4, 3, 3, 20}, true, true);
  Case k = made;
  k.forward_evaluation();
  const Tensor dy = random_tensor<float>(k.x.shape(), 11);
  const ReferenceGradients expected(k, dy, false);
  const BatchNormGradients g = random_gradients(k, Write::accumulate);
  const std::vector<double> dx = plus(g.dx, expected.dx), dresidual = plus(g.dresidual, expected.dresidual);
  batch_norm_backward_evaluation(dy, k.x, k.y, k.scale, k.running_mean, k.running_variance, k.options, g);
  CHECK(distance(g.dx, dx) < 1e-5);
  CHECK(distance(g.dresidual, dresidual) < 1e-6);
}

TEST_CASE("batch norm computes only the gradients that are wanted") {
  Case k = make_case<double>({4, 3, 3, 5}, true, true);
  k.forward();
  const Tensor dy = random_tensor<double>(k.x.shape(), 11);
  const ReferenceGradients expected(k, dy, true);
  const auto backward = [&](const BatchNormGradients& g) {
    batch_norm_backward(dy, k.x, k.y, true, k.scale, k.shift, k.mean, k.inverse_std, k.options, g);
  };
  const BatchNormGradients all = random_gradients(k, Write::overwrite);
  BatchNormGradients only;
  SECTION("dx") {
    only.dx = all.dx;
    backward(only);
    CHECK(distance(only.dx, expected.dx) < 1e-12);
  }
  SECTION("dresidual") {
    only.dresidual = all.dresidual;
    backward(only);
    CHECK(distance(only.dresidual, expected.dresidual) == 0);
  }
  SECTION("dscale and dshift") {
    only.dscale = all.dscale;
    only.dshift = all.dshift;
    backward(only);
    CHECK(distance(only.dscale, expected.dscale) < 1e-12);
    CHECK(distance(only.dshift, expected.dshift) < 1e-12);
  }
}

TEST_CASE("batch norm gradients may replace dy") {
  const bool residual = GENERATE(false, true);
  Case k = make_case<double>({40, 30, 30, 3}, true, residual);
  k.forward();
  const Tensor dy = random_tensor<double>(k.x.shape(), 11);
  const ReferenceGradients expected(k, dy, true);
  BatchNormGradients g = random_gradients(k, Write::overwrite);
  (residual ? g.dresidual : g.dx) = dy;
  batch_norm_backward(dy, k.x, k.y, residual, k.scale, k.shift, k.mean, k.inverse_std, k.options, g);
  CHECK(distance(g.dx, expected.dx) < 1e-12);
  if (residual) CHECK(distance(g.dresidual, expected.dresidual) == 0);
}

TEST_CASE("a mean much larger than the deviation costs the variance of batch norm no digits") {
  Case k = make_case<float>({32, 32, 32, 5}, false, false);
  Random random(3, Purpose::test);
  float* const x = k.x.data<float>();
  for (std::int64_t i = 0; i < k.x.numel(); ++i) x[i] = static_cast<float>(100 + 0.1 * random.normal());
  double tolerance = 1e-4;
  SECTION("as it is") {}
  SECTION("with a first row far away, whose own normalised value is 180") {
    for (int c = 0; c < 5; ++c) x[c] = 0;
    tolerance = 3e-3;
  }
  const Reference expected(k, true);
  k.forward();
  for (std::size_t c = 0; c < 5; ++c) {
    const double inverse = doubles(k.inverse_std)[c];
    CHECK(1 / (inverse * inverse) - k.options.eps == Approx(expected.variance[c]).epsilon(tolerance));
  }
  CHECK(distance(k.y, expected.y) < 180 * tolerance);
}

TEST_CASE("batch norm repeats bit for bit") {
  const ThreadCount two(2);
  Case k = make_case<float>({16, 32, 32, 16}, true, true);
  const Tensor dy = random_tensor<float>(k.x.shape(), 11);
  const auto run = [&] {
    k.forward();
    const BatchNormGradients g = random_gradients(k, Write::overwrite);
    batch_norm_backward(dy, k.x, k.y, true, k.scale, k.shift, k.mean, k.inverse_std, k.options, g);
    return std::tuple(k.y.to_vector<float>(), g.dx.to_vector<float>(), g.dscale.to_vector<float>());
  };
  const auto once = run();
  for (int i = 0; i < 5; ++i) CHECK(run() == once);
}

TEST_CASE("batch norm carries NaN on and refuses a single row") {
  Case k = make_case<float>({4, 2, 2, 16}, true, false);
  k.x.data<float>()[5] = NAN;
  k.forward();
  CHECK(std::isnan(k.y.data<float>()[5]));
  CHECK_FALSE(std::isnan(k.y.data<float>()[6]));

  Case single = make_case<float>({1, 1, 1, 16}, false, false);
  CHECK_THROWS_AS(single.forward(), InternalError);
}
