#include "kernels/elementwise.h"

#include <limits>

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

// Nothing, less than one 16-byte access, an odd size, and more than all threads of a launch together.
std::vector<std::int64_t> sizes() {
  return watched() ? std::vector<std::int64_t>{0, 1, 259, 3001} : std::vector<std::int64_t>{0, 1, 3, 1021, 70001};
}

RandomStream stream(const Tensor& x) {
  return {5, step_value<std::uint64_t>(9, x.device()), 2};
}

template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 1e-6 : 1e-14;

}  // namespace

TEMPLATE_TEST_CASE("elementwise functions agree with the CPU", "", float, double) {
  using T = TestType;
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  for (const std::int64_t n : sizes()) {
    CAPTURE(n);
    const Tensor x = random_tensor<T>({n}, 1), y = random_tensor<T>({n}, 2), z = random_tensor<T>({n}, 3);
    const auto check = [&](const auto& f) { check_parity({x, y, z}, tolerance<T>, f, placement); };
    check([](auto& t) { relu_forward(t[0], t[1]); });
    check([](auto& t) { relu_backward(t[0], t[1], t[2], Write::overwrite); });
    check([](auto& t) { relu_backward(t[0], t[1], t[2], Write::accumulate); });
    check([](auto& t) { add(t[0], t[1], t[2]); });
    check([](auto& t) { add(t[0], t[0], t[0]); });  // in place
    check([](auto& t) { copy(t[0], t[1], Write::overwrite); });
    check([](auto& t) { copy(t[0], t[1], Write::accumulate); });
    check([](auto& t) { scale(t[0], -0.3); });
    check([](auto& t) { mix(t[0], 0.25, t[1], -2); });
    check([](auto& t) { fill(t[0], 1.5); });
    check([](auto& t) { dropout_forward(t[0], 0.7, stream(t[0]), t[1]); });
    check([](auto& t) { dropout_backward(t[0], 0.7, stream(t[0]), t[1], Write::overwrite); });
    check([](auto& t) { dropout_backward(t[0], 0.7, stream(t[0]), t[1], Write::accumulate); });
  }
}

TEMPLATE_TEST_CASE("sums agree with the CPU", "", float, double) {
  for (const std::int64_t n : sizes()) {
    CAPTURE(n);
    const Tensor x = random_tensor<TestType>({n}, 1);
    check_parity({x}, 1e-12, [](auto& t) { return sum(t[0]); });
    check_parity({x}, 1e-12, [](auto& t) { return sum_of_squares(t[0]); });
    check_parity({x}, 0, [](auto& t) { return all_finite(t[0]); });
  }
}

TEMPLATE_TEST_CASE("one bad element is found anywhere", "", float, double) {
  const std::int64_t n = 2000;
  const TestType bad = GENERATE(std::numeric_limits<TestType>::infinity(), std::numeric_limits<TestType>::quiet_NaN());
  for (const std::int64_t at : {std::int64_t{0}, std::int64_t{1000}, n - 1}) {
    Tensor x = random_tensor<TestType>({n}, 1);
    x.template data<TestType>()[at] = bad;
    check_parity({x}, 0, [](auto& t) { return all_finite(t[0]); });
    check_parity({x, x.clone()}, 0, [](auto& t) { relu_forward(t[0], t[1]); });
  }
}

TEST_CASE("the order of a sum does not depend on the order of the blocks") {
  const std::optional<Device> device = cuda_device();
  if (!device) return;
  const Tensor x = place(random_tensor<float>({watched() ? 10000 : 70001}, 1), *device);
  const double first = sum(x);
  in_several_orders([&] { CHECK(sum(x) == first); });  // to the last bit
}

TEST_CASE("casts agree with the CPU") {
  for (const std::int64_t n : sizes()) {
    CAPTURE(n);
    const Tensor wide = random_tensor<double>({n}, 1), narrow = random_tensor<float>({n}, 2);
    check_parity({wide, narrow}, 0, [](auto& t) { cast(t[0], t[1]); });
    check_parity({wide, narrow}, 0, [](auto& t) { cast(t[1], t[0]); });
    check_parity({wide, narrow}, 0, [](auto& t) { cast(t[1], t[0], Write::accumulate); });
    // By way of bfloat16, which the test sees widened again.
    const Placement placement = n % 2 ? Placement::shifted : Placement::aligned;
    const auto by_way = [](const Tensor& from, Tensor& to, Write mode) {
      Tensor rounded = Tensor::empty(from.shape(), DType::bfloat16, from.device());
      cast(from, rounded);
      cast(rounded, to, mode);
    };
    for (const Write mode : {Write::overwrite, Write::accumulate}) {
      check_parity(
          {wide, narrow}, 0, [&](auto& t) { by_way(t[0], t[1], mode); }, placement);
      check_parity(
          {wide, narrow}, 0, [&](auto& t) { by_way(t[1], t[0], mode); }, placement);
    }
  }
}
