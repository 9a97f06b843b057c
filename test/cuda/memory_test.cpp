// The device's memory, and values that are stored there without waiting.
#include "core/memory.h"

#include <cstring>

#include "core/device_backend.h"
#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::test;

TEST_CASE("memory that the device does not have is refused: what was asked for, what is held, what to try") {
  const auto device = cuda_device();
  if (!device) return;
  const Tensor held = Tensor::zeros({3 << 20}, DType::uint8, *device);
  const std::size_t before = memory_statistics(*device).bytes_in_use;
  std::string message;
  try {
    Tensor::empty({std::int64_t{1} << 46}, DType::uint8, *device);
  } catch (const UserError& error) {
    message = error.what();
  }
  CHECK(message.find("cuda:0: out of memory: 67108864 MiB asked for") == 0);
  CHECK(message.find("held") != std::string::npos);
  CHECK(message.find("--batch-size") != std::string::npos);
  CHECK(memory_statistics(*device).bytes_in_use == before);
  CHECK(Tensor::zeros({1000}, DType::float32, *device).to_vector<float>() == std::vector<float>(1000));  // goes on
}

TEST_CASE("a step value arrives in the order of the work, and its source may change at once") {
  const auto device = cuda_device();
  if (!device) return;
  struct Numbers {
    double a;
    std::int64_t b;
  };
  StepValue<Numbers> value(*device);
  Tensor seen = Tensor::empty({2, sizeof(Numbers)}, DType::uint8, *device);
  for (std::int64_t i = 0; i < 2; ++i) {
    Numbers numbers{0.5 + static_cast<double>(i), i};
    value.set(numbers);
    numbers = {};
    device_backend().copy_within(seen.slice(i, i + 1).raw(), value.on_device(), sizeof(Numbers));
  }
  const Tensor here = seen.to(Device{});
  for (std::int64_t i = 0; i < 2; ++i) {
    Numbers found;
    std::memcpy(&found, here.slice(i, i + 1).raw(), sizeof found);
    CHECK(found.a == 0.5 + static_cast<double>(i));
    CHECK(found.b == i);
  }
}

TEST_CASE("a number read later is that of its time") {
  const auto device = cuda_device();
  if (!device) return;
  Tensor x = Tensor::from<double>({1}, {3}).to(*device);
  const auto pending = device_backend().read_later(x.raw(), sizeof(double));
  x.fill_zero();
  device_backend().synchronize();
  REQUIRE(pending->ready());
  CHECK(*static_cast<const double*>(pending->bytes()) == 3);
}
