#include "kernels/batch_norm.h"

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

// The CPU adds up to a few thousand numbers in the tensor's type before it goes on in double.
constexpr Tolerance rounding{1e-5, 1e-13};

struct Case {
  Shape shape;
  bool relu, residual;
  BatchNormOptions options() const { return {.eps = 1e-5, .momentum = 0.1, .relu = relu}; }
  Shape channels() const { return {shape[shape.rank() - 1]}; }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Shape& shape : {Shape{2, 3, 5, 1}, Shape{3, 4, 4, 3}, Shape{7, 10}, Shape{2, 9, 8, 16}, Shape{2, 1, 1, 64},
                             Shape{1, 2, 2, 5}, Shape{3, 3, 3, 140}, Shape{40, 8, 8, 16}, Shape{5000, 3}})
    for (const bool relu : {false, true})
      for (const bool residual : {false, true}) all.push_back({shape, relu, residual});
  return all;
}

// Names of the tensors of a case, in the order of all lists below.
enum {
  x,
  residual,
  scale,
  shift,
  running_mean,
  running_variance,
  y,
  mean,
  inverse_std,
  dy,
  dx,
  dresidual,
  dscale,
  dshift
};

template <class T>
std::vector<Tensor> tensors_of(const Case& k) {
  const auto channels = [&](std::uint64_t stream, double low, double high) {
    return random_tensor<T>(k.channels(), stream, low, high);
  };
  const auto like_x = [&](std::uint64_t stream) { return random_tensor<T>(k.shape, stream, -1, 2); };
  const Tensor none;
  return {like_x(1),
          k.residual ? like_x(2) : none,
          channels(3, 0.5, 1.5),
          channels(4, -1, 1),
          channels(5, -1, 1),
          channels(6, 0.5, 1.5),
          like_x(7),
          channels(8, -1, 1),
          channels(9, 0.5, 1.5),
          like_x(10),
          like_x(11),
          k.residual ? like_x(12) : none,
          channels(13, -1, 1),
          channels(14, -1, 1)};
}

void forward(std::vector<Tensor>& t, const BatchNormOptions& options) {
  batch_norm_forward_training(t[x], t[residual], t[scale], t[shift], t[running_mean], t[running_variance], options,
                              t[y], t[mean], t[inverse_std]);
}
void forward_evaluation(std::vector<Tensor>& t, const BatchNormOptions& options) {
  batch_norm_forward_evaluation(t[x], t[residual], t[scale], t[shift], t[running_mean], t[running_variance], options,
                                t[y]);
}
BatchNormGradients gradients_of(const std::vector<Tensor>& t, Write mode) {
  return {t[dx], mode, t[dresidual], mode, t[dscale], mode, t[dshift], mode};
}
void backward(std::vector<Tensor>& t, const BatchNormOptions& options, const BatchNormGradients& gradients) {
  batch_norm_backward(t[dy], t[x], t[y], static_cast<bool>(t[residual]), t[scale], t[shift], t[mean], t[inverse_std],
                      options, gradients);
}
void backward_evaluation(std::vector<Tensor>& t, const BatchNormOptions& options, const BatchNormGradients& gradients) {
  batch_norm_backward_evaluation(t[dy], t[x], t[y], t[scale], t[running_mean], t[running_variance], options, gradients);
}

}  // namespace

TEMPLATE_TEST_CASE("CUDA: batch norm in training", "", float, double) {
  for (const Case& k : cases()) {
    CAPTURE(k.shape.to_string(), k.relu, k.residual);
    std::vector<Tensor> t = tensors_of<TestType>(k);
    check_parity(t, rounding, [&](std::vector<Tensor>& u) { forward(u, k.options()); });
    forward(t, k.options());  // so that both devices' backward passes start from the same bits
    for (const Write mode : {Write::overwrite, Write::accumulate})
      check_parity(t, rounding, [&](std::vector<Tensor>& u) { backward(u, k.options(), gradients_of(u, mode)); });
  }
}

TEMPLATE_TEST_CASE("CUDA: batch norm in evaluation", "", float, double) {
  for (const Case& k : cases()) {
    CAPTURE(k.shape.to_string(), k.relu, k.residual);
    std::vector<Tensor> t = tensors_of<TestType>(k);
    check_parity(t, rounding, [&](std::vector<Tensor>& u) { forward_evaluation(u, k.options()); });
    forward_evaluation(t, k.options());
    for (const Write mode : {Write::overwrite, Write::accumulate})
      check_parity(t, rounding,
                   [&](std::vector<Tensor>& u) { backward_evaluation(u, k.options(), gradients_of(u, mode)); });
  }
}

TEST_CASE("CUDA: batch norm writes its gradients over dy") {
  for (const bool residual_too : {false, true}) {
    const Case k{{4, 5, 5, 16}, true, residual_too};
    std::vector<Tensor> t = tensors_of<float>(k);
    forward(t, k.options());
    check_parity(t, rounding, [&](std::vector<Tensor>& u) {
      BatchNormGradients g = gradients_of(u, Write::overwrite);
      (residual_too ? g.dresidual : g.dx) = u[dy];
      backward(u, k.options(), g);
    });
  }
}

TEST_CASE("CUDA: batch norm computes only the gradients that are wanted") {
  const Case k{{4, 5, 5, 16}, true, false};
  std::vector<Tensor> t = tensors_of<double>(k);
  forward(t, k.options());
  for (const int wanted : {dx, dscale, dshift})
    check_parity(t, rounding, [&](std::vector<Tensor>& u) {
      BatchNormGradients g;
      (wanted == dx ? g.dx : wanted == dscale ? g.dscale : g.dshift) = u[static_cast<std::size_t>(wanted)];
      backward(u, k.options(), g);
    });
}

// Where ReLU's input is exactly or nearly zero, forward and backward pass must take it for the same side.
TEST_CASE("CUDA: the backward pass finds the forward pass's ReLU mask again") {
  const Case k{{64, 8, 8, 16}, true, false};
  std::vector<Tensor> t = tensors_of<float>(k);
  t[shift].fill_zero();
  for (Tensor& each : t) each = on_device(each);
  forward(t, k.options());
  BatchNormGradients g;  // with a residual of its own as the place where the masked gradient goes
  g.dresidual = t[dx];
  backward(t, k.options(), g);
  const std::vector<double> out = doubles(t[y]), masked = doubles(t[dx]);
  std::size_t different = 0;
  for (std::size_t i = 0; i < out.size(); ++i) different += (out[i] > 0) != (masked[i] != 0);
  CHECK(different == 0);
}

TEST_CASE("CUDA: statistics of numbers that are large beside their deviation, and of outliers") {
  const Case k{{4, 16, 16, 16}, false, false};
  const double offset = GENERATE(0, 1e4), outlier = GENERATE(0, 1e5);
  CAPTURE(offset, outlier);
  std::vector<Tensor> t = tensors_of<float>(k);
  for (std::int64_t i = 0; i < t[x].numel(); ++i) t[x].data<float>()[i] += static_cast<float>(offset);
  t[x].data<float>()[0] += static_cast<float>(outlier);  // of the first row, to which the others are related
  std::vector<double> exact_mean(16), exact_variance(16);
  const std::vector<double> values = doubles(t[x]);
  const double rows = static_cast<double>(values.size()) / 16;
  for (std::size_t i = 0; i < values.size(); ++i) exact_mean[i % 16] += values[i] / rows;
  for (std::size_t i = 0; i < values.size(); ++i)
    exact_variance[i % 16] += (values[i] - exact_mean[i % 16]) * (values[i] - exact_mean[i % 16]) / rows;
  for (Tensor& each : t) each = on_device(each);
  forward(t, k.options());
  const std::vector<double> found_mean = doubles(t[mean]), found_inverse = doubles(t[inverse_std]);
  for (std::size_t c = 0; c < 16; ++c) {
    CHECK(found_mean[c] == Approx(exact_mean[c]).epsilon(1e-6).margin(1e-6));
    CHECK(found_inverse[c] == Approx(1 / std::sqrt(exact_variance[c] + 1e-5)).epsilon(1e-4));
  }
}
