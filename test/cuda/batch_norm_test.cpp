#include "kernels/batch_norm.h"

#include <cmath>

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

// The CPU adds up to a few thousand numbers in the tensor's type before it goes on in double.
template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-13;

struct Case {
  Shape shape;
  bool relu, residual;
  BatchNormOptions options() const { return {.eps = 1e-5, .momentum = 0.1, .relu = relu}; }
  Shape channels() const { return {shape[shape.rank() - 1]}; }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  std::vector<Shape> shapes = {{2, 3, 5, 1}, {3, 4, 4, 3}, {7, 10}, {2, 9, 8, 16}, {2, 1, 1, 64}, {3, 3, 3, 140}};
  if (!watched()) shapes.insert(shapes.end(), {Shape{40, 8, 8, 16}, Shape{5000, 3}});
  for (const Shape& shape : shapes)
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

TEMPLATE_TEST_CASE("batch norm in training agrees with the CPU", "", float, double) {
  using T = TestType;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  for (const Case& k : cases()) {
    CAPTURE(k.shape.to_string(), k.relu, k.residual);
    std::vector<Tensor> t = tensors_of<T>(k);
    check_parity(
        t, tolerance<T>, [&](auto& u) { forward(u, k.options()); }, placement);
    forward(t, k.options());  // so that both devices' backward passes start from the same bits
    for (const Write mode : {Write::overwrite, Write::accumulate})
      check_parity(
          t, tolerance<T>, [&](auto& u) { backward(u, k.options(), gradients_of(u, mode)); }, placement);
  }
}

TEMPLATE_TEST_CASE("batch norm in evaluation agrees with the CPU", "", float, double) {
  using T = TestType;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  for (const Case& k : cases()) {
    CAPTURE(k.shape.to_string(), k.relu, k.residual);
    std::vector<Tensor> t = tensors_of<T>(k);
    check_parity(
        t, tolerance<T>, [&](auto& u) { forward_evaluation(u, k.options()); }, placement);
    forward_evaluation(t, k.options());
    for (const Write mode : {Write::overwrite, Write::accumulate})
      check_parity(
          t, tolerance<T>, [&](auto& u) { backward_evaluation(u, k.options(), gradients_of(u, mode)); }, placement);
  }
}

TEST_CASE("batch norm on the device writes its gradients over dy") {
  const bool with_residual = GENERATE(false, true);
  const Case k{{4, 5, 5, 16}, true, with_residual};
  std::vector<Tensor> t = tensors_of<float>(k);
  forward(t, k.options());
  check_parity(t, tolerance<float>, [&](auto& u) {
    BatchNormGradients g = gradients_of(u, Write::overwrite);
    (with_residual ? g.dresidual : g.dx) = u[dy];
    backward(u, k.options(), g);
  });
}

TEST_CASE("batch norm on the device computes only the gradients that are wanted") {
  const Case k{{4, 5, 5, 16}, true, false};
  std::vector<Tensor> t = tensors_of<double>(k);
  forward(t, k.options());
  for (const int wanted : {int{dx}, int{dscale}, int{dshift}})
    check_parity(t, tolerance<double>, [&](auto& u) {
      BatchNormGradients g;
      (wanted == dx ? g.dx : wanted == dscale ? g.dscale : g.dshift) = u[static_cast<std::size_t>(wanted)];
      backward(u, k.options(), g);
    });
}

TEST_CASE("the backward pass on the device finds the forward pass's ReLU mask again") {
  const auto device = cuda_device();
  if (!device) return;
  const Case k{{watched() ? 4 : 64, 8, 8, 16}, true, false};
  std::vector<Tensor> t = tensors_of<float>(k);
  for (Tensor& each : t) each = place(each, *device);
  forward(t, k.options());
  BatchNormGradients g;
  g.dresidual = t[dx];  // receives the masked gradient
  backward(t, k.options(), g);
  const std::vector<double> out = doubles(t[y]), masked = doubles(t[dx]);
  std::size_t different = 0;
  for (std::size_t i = 0; i < out.size(); ++i) different += (out[i] > 0) != (masked[i] != 0);
  CHECK(different == 0);
}

TEST_CASE("statistics on the device stand large means and outliers") {
  const auto device = cuda_device();
  if (!device) return;
  const double offset = GENERATE(0, 1e4), outlier = GENERATE(0, 1e5);
  CAPTURE(offset, outlier);
  const Case k{{4, 16, 16, 16}, false, false};
  std::vector<Tensor> t = tensors_of<float>(k);
  for (std::int64_t i = 0; i < t[x].numel(); ++i) t[x].data<float>()[i] += static_cast<float>(offset);
  t[x].data<float>()[0] += static_cast<float>(outlier);  // of the first row, which others are taken relative to
  const std::vector<double> values = doubles(t[x]);
  const double rows = static_cast<double>(values.size()) / 16;
  std::vector<double> exact_mean(16), exact_variance(16);
  for (std::size_t i = 0; i < values.size(); ++i) exact_mean[i % 16] += values[i] / rows;
  for (std::size_t i = 0; i < values.size(); ++i)
    exact_variance[i % 16] += (values[i] - exact_mean[i % 16]) * (values[i] - exact_mean[i % 16]) / rows;
  for (Tensor& each : t) each = place(each, *device);
  forward(t, k.options());
  const std::vector<double> found_mean = doubles(t[mean]), found_inverse = doubles(t[inverse_std]);
  for (std::size_t c = 0; c < 16; ++c) {
    CHECK(found_mean[c] == Approx(exact_mean[c]).epsilon(1e-6).margin(1e-6 * std::sqrt(exact_variance[c])));
    CHECK(found_inverse[c] == Approx(1 / std::sqrt(exact_variance[c] + 1e-5)).epsilon(1e-4));
  }
}
