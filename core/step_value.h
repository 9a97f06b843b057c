// Numbers that change from one training step to the next: the learning rate, bias corrections, the place in the data.
#pragma once

#include <cstddef>
#include <type_traits>

#include "core/device_backend.h"
#include "core/tensor.h"

namespace actgrad {

// A small struct that kernels read where it lies: on the CPU here, on another device in its memory. A recorded step
// (core/recording.h) is replayed with the arguments that its kernels once had; a number that is an argument would stay
// what it was then. So what changes is no argument: it is set before each step.
// Copies share the device's memory.
template <class S>
class StepValue {
  static_assert(std::is_trivially_copyable_v<S> && sizeof(S) <= DeviceBackend::max_store);

 public:
  StepValue() = default;
  StepValue(const S& value) : value_(value) {}  // on the CPU
  explicit StepValue(Device device) {
    if (!device.is_cpu()) memory_ = Tensor::empty({static_cast<std::int64_t>(sizeof(S))}, DType::uint8, device);
  }

  // In the order of the work given to the device. Never waits.
  void set(const S& value) {
    value_ = value;
    if (memory_) device_backend().store(memory_.raw(), &value_, sizeof(S));
  }

  const S& value() const { return value_; }  // what was set last
  // Where kernels of the device read it.
  const S* on_device() const {
    ACTGRAD_CHECK(memory_, "a step value of the CPU, given to another device");
    return static_cast<const S*>(memory_.raw());
  }

 private:
  S value_{};
  Tensor memory_;
};

}  // namespace actgrad
