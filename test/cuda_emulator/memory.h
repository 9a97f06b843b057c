// Device memory of the emulator: one mapping per allocation, which ends where a page that faults begins. Addresses are
// never used again, so that whoever uses freed memory faults too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace actgrad::cuda_emulator {

struct Allocation {
  enum class Kind { device, managed, pinned };  // managed and pinned memory is the host's as well

  char* begin = nullptr;
  std::size_t bytes = 0;
  Kind kind = Kind::device;
  char* mapping = nullptr;
  std::size_t mapping_bytes = 0;  // without the guard page
  bool freed = false;
  void* shadow = nullptr;  // the checker's
};

class Memory {
 public:
  // What begins here is aligned as widely as any load of a kernel; so up to 15 bytes can lie between an allocation's
  // end and the guard page. They hold a pattern, see damaged().
  static constexpr std::size_t alignment = 16;
  static constexpr std::size_t size = std::size_t{8} << 30;  // of the emulated device

  static Memory& instance();

  // Null if the device would then hold more than `size`, or the system has no memory left. The bytes are 0xFF: NaN.
  void* allocate(std::size_t bytes, Allocation::Kind kind);
  // False if no allocation begins there.
  bool release(void* pointer);

  // The live allocation that contains the address; null if none does.
  Allocation* find(const void* address);
  bool contains(const void* pointer, std::size_t bytes);
  // An allocation whose pattern behind the end was overwritten, which mends it; null if all are whole.
  const Allocation* damaged();
  // "3 bytes behind an allocation of 400 bytes", or "" if the address is near none.
  std::string describe(const void* address);
  std::size_t used() const { return used_; }

 private:
  std::map<std::uintptr_t, Allocation> allocations_;  // by the end of their guard page; freed ones stay
  std::map<std::uintptr_t, const Allocation*> patterned_;
  Allocation* latest_ = nullptr;
  std::size_t used_ = 0;
};

// Device memory is not the host's: a thread that touches it outside of such a scope faults, as on a GPU. Work of the
// device is done within one. Needs a processor with protection keys for pages; without, nothing is guarded.
class DeviceAccess {
 public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;

 private:
  int before_ = 0;  // the thread's rights
};

// Held by launches and by everything that changes device memory or streams: the emulated device does one thing at a
// time.
std::recursive_mutex& device_mutex();

}  // namespace actgrad::cuda_emulator
