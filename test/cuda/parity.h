// Runs a kernel function on the CPU and on the CUDA device, and compares. The device is the host emulator in the builds
// cuda-emulated and cuda-checked: there every check runs in several orders of blocks and threads.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/step_value.h"
#include "test/kernels/values.h"

namespace actgrad::test {

// The device of these tests; without one, says that the test is skipped.
std::optional<Device> cuda_device();

// Whether the kernels' memory accesses are watched: tests should then be small.
bool watched();

// Whether a program plays the device.
bool emulated();

// Runs the body in several orders if the device is emulated, else once.
void in_several_orders(const std::function<void()>& body);

enum class Placement {
  aligned,  // as the allocator gives it
  shifted,  // behind one other element, as some views are: kernels cannot use 16-byte accesses
};

// A copy of `x` on the device; undefined tensors stay undefined.
Tensor place(const Tensor& x, Device device, Placement placement = Placement::aligned);

// A step value where kernels of the device find it.
template <class S>
StepValue<S> step_value(const S& value, Device device) {
  StepValue<S> result(device);
  result.set(value);
  return result;
}

// The largest difference of two tensors' elements, as a share of the largest expected one or of 1. NaN and infinity
// must stand where they are expected.
double relative_distance(const Tensor& found, const Tensor& expected);

bool same_bits(const Tensor& a, const Tensor& b);

// Calls f(tensors) with copies of `tensors` on the CPU and on the device. Afterwards all of them must agree, what f
// writes as well as what it only reads, and so must the number that f returns, if it does. The device must find the
// same bits in every order.
//   check_parity({x, y}, 1e-6, [](std::vector<Tensor>& t) { relu_forward(t[0], t[1]); });
template <class F>
void check_parity(const std::vector<Tensor>& tensors, double tolerance, const F& f,
                  Placement placement = Placement::aligned) {
  const std::optional<Device> device = cuda_device();
  if (!device) return;
  constexpr bool gives_number = !std::is_void_v<std::invoke_result_t<F, std::vector<Tensor>&>>;
  const auto call = [&](std::vector<Tensor>& arguments) {
    if constexpr (gives_number) return static_cast<double>(f(arguments));
    f(arguments);
    return 0.0;
  };
  const auto copies_on = [&](Device where, Placement how) {
    std::vector<Tensor> copies;
    for (const Tensor& tensor : tensors) copies.push_back(place(tensor, where, how));
    return copies;
  };
  std::vector<Tensor> expected = copies_on(Device{}, Placement::aligned);
  const double number = call(expected);
  std::vector<Tensor> first;
  in_several_orders([&] {
    std::vector<Tensor> found = copies_on(*device, placement);
    const double device_number = call(found);
    CHECK(relative_distance(Tensor::from<double>({1}, {device_number}), Tensor::from<double>({1}, {number})) <=
          tolerance);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      if (!tensors[i]) continue;
      CAPTURE(i, tensors[i].shape().to_string());
      CHECK(relative_distance(found[i], expected[i]) <= tolerance);
      if (!first.empty()) CHECK(same_bits(found[i], first[i]));
    }
    if (first.empty()) first = found;
  });
}

}  // namespace actgrad::test
