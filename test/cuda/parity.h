// The CUDA half of a kernel function against its CPU half: on a GPU, or under the emulator.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "test/kernels/values.h"

#ifdef ACTGRAD_TEST_EMULATOR
#include "test/cuda_emulator/emulator.h"
#endif

namespace actgrad::test {

inline Device cuda_device() {
  static const Device device = Device::parse("cuda");
  return device;
}

// The next launches run their blocks and threads in another order, if the emulator runs them.
inline void set_order(std::uint64_t seed) {
#ifdef ACTGRAD_TEST_EMULATOR
  cuda_emulator::set_seed(seed);
#else
  static_cast<void>(seed);
#endif
}

// A copy on the device, whose first element lies `offset` elements behind an aligned address: 16-byte accesses are
// allowed only at 0.
inline Tensor on_device(const Tensor& x, std::int64_t offset = 0) {
  if (!x) return {};
  Tensor copy = Tensor::empty({offset + x.numel()}, x.dtype(), cuda_device()).view(offset, x.shape());
  if (x.numel() > 0) copy.copy_from(x);
  return copy;
}

// The elements of a tensor of any dtype.
inline std::vector<double> numbers(const Tensor& x) {
  const auto converted = [](const auto& values) { return std::vector<double>(values.begin(), values.end()); };
  switch (x.dtype()) {
    case DType::uint8: return converted(x.to_vector<std::uint8_t>());
    case DType::int32: return converted(x.to_vector<std::int32_t>());
    default: return doubles(x);
  }
}

// max |a − b| / max(1, max |b|); NaN equals NaN.
inline double relative_distance(const Tensor& a, const Tensor& b) {
  const std::vector<double> left = numbers(a), right = numbers(b);
  REQUIRE(left.size() == right.size());
  double largest = 1, difference = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if ((std::isnan(left[i]) && std::isnan(right[i])) || left[i] == right[i]) continue;
    const double d = std::abs(left[i] - right[i]);
    difference = d <= difference ? difference : std::isnan(d) ? INFINITY : d;
    largest = std::max(largest, std::abs(right[i]));
  }
  return difference / largest;
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor left = a.to(Device{}), right = b.to(Device{});
  return left.bytes() == right.bytes() &&
         (left.bytes() == 0 || std::memcmp(left.raw(), right.raw(), left.bytes()) == 0);
}

// What a comparison allows: relative_distance, by dtype.
struct Tolerance {
  double of_float, of_double;
  double of(const Tensor& x) const { return x.dtype() == DType::float64 ? of_double : of_float; }
};
inline constexpr Tolerance exactly{0, 0};

// Calls function(tensors) with copies of `tensors` on the CPU and on the device, and compares all of them afterwards.
// On the device it runs several times, each in another order: the results must have the same bits. All of it once with
// aligned tensors and once with misaligned ones. Undefined tensors stay undefined.
template <class F>
void check_parity(const std::vector<Tensor>& tensors, Tolerance tolerance, const F& function) {
  std::vector<Tensor> here;
  for (const Tensor& x : tensors) here.push_back(x ? x.clone() : Tensor());
  function(here);
  for (const std::int64_t offset : {0, 1}) {
    std::vector<Tensor> first;
    for (const std::uint64_t order : {1, 2, 3}) {
      set_order(order);
      std::vector<Tensor> there;
      for (const Tensor& x : tensors) there.push_back(on_device(x, offset));
      function(there);
      for (std::size_t i = 0; i < tensors.size(); ++i) {
        if (!tensors[i]) continue;
        INFO("tensor " << i << ", offset " << offset << ", order " << order);
        CHECK(relative_distance(there[i], here[i]) <= tolerance.of(here[i]));
        if (order != 1) CHECK(same_bits(there[i], first[i]));
      }
      if (order == 1) first = there;
    }
  }
}

}  // namespace actgrad::test
