// Device memory for the kernels of these tests.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/cuda/launch.h"

namespace actgrad::test {

template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t count) : count_(count) {  // not initialised
    ACTGRAD_CUDA_CHECK(cudaMalloc(reinterpret_cast<void**>(&data_), count * sizeof(T)));
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) { assign(values); }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }
  std::size_t size() const { return count_; }
  void assign(const std::vector<T>& values) const {
    ACTGRAD_CUDA_CHECK(cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  std::vector<T> values() const {
    std::vector<T> copy(count_);
    ACTGRAD_CUDA_CHECK(cudaMemcpy(copy.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost));
    return copy;
  }

 private:
  std::size_t count_;
  T* data_ = nullptr;
};

// Small whole numbers: sums of them are exact in any order.
template <class T = float>
std::vector<T> whole_numbers(std::size_t count) {
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<T>(i * 7 % 13) - T(5);
  return values;
}

inline unsigned blocks_of(unsigned block, std::size_t n) {
  return static_cast<unsigned>((n + block - 1) / block);
}

}  // namespace actgrad::test
