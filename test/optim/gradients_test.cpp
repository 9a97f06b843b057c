#include "optim/gradients.h"

#include <cmath>

#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::test;

namespace {

Parameter parameter_of(const Shape& shape) {
  Parameter parameter;
  parameter.shape = shape;
  return parameter;
}

// Odd sizes, so that there are gaps; the one in the middle has no gradient: a stale one lies in its place.
struct Three {
  Parameter first = parameter_of({3, 5}), unused = parameter_of({7, 3}), last = parameter_of({5});
  ParameterSet set{{&first, &unused, &last}, DType::float64, Device{}};

  Three() {
    unused.variable.gradient_target().tensor.copy_from(random_tensor<double>(unused.shape, 1, 50, 100));
    unused.variable.clear_grad();
    first.variable.gradient_target().tensor.copy_from(random_tensor<double>(first.shape, 2));
    last.variable.gradient_target().tensor.copy_from(random_tensor<double>(last.shape, 3));
  }
  double squares() const { return dot(first.grad(), first.grad()) + dot(last.grad(), last.grad()); }
};

}  // namespace

TEST_CASE("the gradients' norm counts every parameter that has one, once") {
  const Three three;
  CHECK(squared_gradient_norm(three.set).to_vector<double>()[0] == Approx(three.squares()).epsilon(1e-14));
}

TEST_CASE("clipping as PyTorch's clip_grad_norm_; stale gradients stay as they are") {
  Three three;
  const double norm = std::sqrt(three.squares()), largest = GENERATE(0.5, 1e-3, 100.0);
  const std::vector<double> before = doubles(three.set.gradients());
  clip_gradients(three.set, largest);
  const std::vector<double> after = doubles(three.set.gradients());
  const double factor = std::min(1.0, largest / (norm + 1e-6));
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    const bool stale = at >= three.unused.offset && at < three.unused.offset + three.unused.numel();
    CHECK(after[i] == Approx(before[i] * (stale ? 1 : factor)).epsilon(1e-14));
  }
}

TEST_CASE("without any gradient the norm is zero") {
  Three three;
  three.set.clear_gradients();
  CHECK(squared_gradient_norm(three.set).to_vector<double>()[0] == 0);
  clip_gradients(three.set, 1);
}
