#include "test/cuda/parity.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <limits>

#include "core/device_backend.h"

#ifdef ACTGRAD_CUDA_CHECKED
#include "test/cuda_emulator/emulator.h"
#endif

namespace actgrad::test {

std::optional<Device> cuda_device() {
  static const std::string none = [] {
    try {
      return Device::parse("cuda"), std::string();
    } catch (const UserError& error) {
      return std::string(error.what());
    }
  }();
  if (none.empty()) return Device{Device::Kind::cuda, 0};
  std::cout << "skipped, no CUDA device: " << none << "\n";  // ctest looks for it
  return {};
}

bool emulated() {
  return device_backend().emulated();
}

#ifdef ACTGRAD_CUDA_CHECKED
bool watched() {
  return cuda_emulator::checked();
}

void in_several_orders(const std::function<void()>& body) {
  static const std::uint64_t drawn = cuda_emulator::seed();  // another one in every run, or the one asked for
  const std::uint64_t orders = watched() ? 2 : 4;
  for (std::uint64_t i = 0; i < orders; ++i) {
    const std::uint64_t seed = i == 0 ? drawn : i;
    INFO("ACTGRAD_EMULATOR_SEED=" << seed);
    cuda_emulator::set_seed(seed);
    body();
  }
}
#else
bool watched() {
  return false;
}

void in_several_orders(const std::function<void()>& body) {
  body();
}
#endif

Tensor place(const Tensor& x, Device device, Placement placement) {
  if (!x) return {};
  Tensor copy;
  if (placement == Placement::aligned)
    copy = Tensor::empty(x.shape(), x.dtype(), device);
  else
    copy = Tensor::empty({x.numel() + 1}, x.dtype(), device).view(1, x.shape());
  copy.copy_from(x);
  return copy;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(Device{}), y = b.to(Device{});
  return x.bytes() == y.bytes() && (x.bytes() == 0 || std::memcmp(x.raw(), y.raw(), x.bytes()) == 0);
}

double relative_distance(const Tensor& found, const Tensor& expected) {
  const bool whole = expected.dtype() == DType::uint8 || expected.dtype() == DType::int32;
  const auto values = [&](const Tensor& x) {
    if (!whole) return doubles(x);
    const Tensor here = x.to(Device{});
    std::vector<double> result;
    for (std::int64_t i = 0; i < x.numel(); ++i)
      result.push_back(x.dtype() == DType::uint8 ? here.data<std::uint8_t>()[i] : here.data<std::int32_t>()[i]);
    return result;
  };
  const std::vector<double> a = values(found), b = values(expected);
  REQUIRE(a.size() == b.size());
  double largest = 0, scale = 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
    if (same) continue;
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, std::abs(a[i] - b[i]));
  }
  for (const double value : b)
    if (std::isfinite(value)) scale = std::max(scale, std::abs(value));
  return largest / scale;
}

}  // namespace actgrad::test
