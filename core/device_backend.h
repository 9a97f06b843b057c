// What core asks of devices that are not the CPU. The CUDA module (kernels/cuda/backend.cu) implements and registers it
// when it is loaded: as a shared module, opened when a CUDA device is first asked for, or as part of the program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/recording.h"

namespace actgrad {

// Bytes on their way from a device to here.
class PendingRead {
 public:
  virtual ~PendingRead() = default;
  virtual bool ready() = 0;               // never waits
  virtual const void* bytes() const = 0;  // once ready
};

class DeviceBackend {
 public:
  virtual ~DeviceBackend() = default;

  virtual int device_count() = 0;
  virtual std::string description(int device) = 0;  // one line for people
  // Whether a program plays the device: what it does is right, how long it takes says nothing.
  virtual bool emulated() const { return false; }
  // Makes the device the calling thread's. Throws UserError when it cannot be used.
  virtual void select(int device) = 0;

  // Whether freed memory is kept for later requests, rounded up so that it fits more of them. A backend that looks for
  // mistakes wants to see every allocation as it was asked for, and every end of one.
  virtual bool keeps_memory() const { return true; }

  // Device memory, aligned to 256 bytes; null when there is not enough.
  virtual void* allocate(int device, std::size_t bytes) = 0;
  virtual void deallocate(int device, void* memory) noexcept = 0;

  // All in the order of the work given to the device. `copy` between it and the host: returns when the host's side may
  // be used or changed again. The others do not wait.
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;
  virtual void copy_within(void* to, const void* from, std::size_t bytes) = 0;
  virtual void fill_zero(void* memory, std::size_t bytes) = 0;
  // A few bytes, by way of a kernel's arguments: never waits, and `from` may change at once.
  static constexpr std::size_t max_store = 128;
  virtual void store(void* to, const void* from, std::size_t bytes) = 0;
  // The bytes as they are after the work given so far. Does not wait.
  virtual std::unique_ptr<PendingRead> read_later(const void* from, std::size_t bytes) = 0;

  // Calls `work` and records what it gives to the device, without doing it. `work` must not wait for the device.
  virtual std::unique_ptr<Recording> record(const std::function<void()>& work) = 0;

  // How many kernels were given to the device so far, without replays of recordings; a library's call counts as one.
  virtual std::uint64_t launches() const = 0;

  // Returns when the device has done all work given to it; throws InternalError if some of it failed.
  virtual void synchronize() = 0;
};

// The registered backend; opens the module first. Throws UserError when this build has none or it does not load.
DeviceBackend& device_backend();

// "cuda:0 (NVIDIA H200, …)": a device that is not the CPU, for people.
inline std::string describe(Device device) {
  return device.name() + " (" + device_backend().description(device.index) + ")";
}

namespace detail {
void register_backend(DeviceBackend& backend);
}

}  // namespace actgrad
