// A short list of plain structs that tells kernels what lies where.
#pragma once

#include <cstring>
#include <type_traits>
#include <vector>

#include "core/tensor.h"

namespace actgrad::kernels {

// The list, and a copy of it where a device's kernels find it. Making one of another device waits for it.
template <class Item>
class DeviceList {
  static_assert(std::is_trivially_copyable_v<Item>);

 public:
  DeviceList() = default;
  DeviceList(const std::vector<Item>& list, Device device) : list_(list) {
    if (device.is_cpu()) return;
    std::vector<std::uint8_t> raw(list.size() * sizeof(Item));
    if (!raw.empty()) std::memcpy(raw.data(), list.data(), raw.size());
    memory_ = Tensor::from({static_cast<std::int64_t>(raw.size())}, raw).to(device);
  }
  // Becomes this list; nothing is done when it is already.
  void assign(const std::vector<Item>& list, Device device) {
    if (list != list_) *this = DeviceList(list, device);
  }
  const std::vector<Item>& list() const { return list_; }
  std::int64_t size() const { return static_cast<std::int64_t>(list_.size()); }
  const Item* on_device() const { return static_cast<const Item*>(memory_.raw()); }

 private:
  std::vector<Item> list_;
  Tensor memory_;
};

}  // namespace actgrad::kernels
