// Tensor: shared storage + shape + dtype + device. Always contiguous; the last dimension runs fastest.
// Images are (N, H, W, C), convolution weights (O, KH, KW, I), matrices (rows, columns).
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "core/device.h"
#include "core/dtype.h"
#include "core/error.h"

namespace actgrad {

// Up to five dimensions; rank 0 is a scalar with one element.
class Shape {
 public:
  static constexpr int max_rank = 5;
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);
  explicit Shape(const std::vector<std::int64_t>& dims);

  int rank() const { return rank_; }
  std::int64_t operator[](int i) const { return dims_[static_cast<std::size_t>(i)]; }
  std::int64_t numel() const;
  bool operator==(const Shape& other) const = default;
  std::string to_string() const;  // "(128, 32, 32, 3)"

 private:
  std::array<std::int64_t, max_rank> dims_{};
  int rank_ = 0;
};

// A small value type: copying it shares the bytes. A default-constructed Tensor is undefined: `if (tensor)` is false.
class Tensor {
 public:
  Tensor() = default;

  static Tensor empty(const Shape& shape, DType dtype, Device device = {});  // not initialised
  static Tensor zeros(const Shape& shape, DType dtype, Device device = {});
  // A copy of `values`; their count must equal shape.numel().
  template <class T>
  static Tensor from(const Shape& shape, const std::vector<T>& values);

  explicit operator bool() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  std::int64_t dim(int i) const { return shape_[i < 0 ? i + shape_.rank() : i]; }
  int rank() const { return shape_.rank(); }
  std::int64_t numel() const { return shape_.numel(); }
  std::size_t bytes() const { return static_cast<std::size_t>(numel()) * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }

  // The elements, as T, which only kernels of device() may read; throws InternalError when dtype() is another type.
  // Like a pointer, a const Tensor does not make its elements const: what a function writes is said by its name and
  // comment.
  template <class T>
  T* data() const {
    ACTGRAD_CHECK(dtype_of<T>::value == dtype_, std::string("tensor holds ") + name_of(dtype_));
    return static_cast<T*>(raw());
  }
  void* raw() const;

  // Views: they share the bytes.
  Tensor reshape(const Shape& shape) const;                    // same number of elements
  Tensor slice(std::int64_t begin, std::int64_t end) const;    // rows [begin, end) of the leading dimension
  Tensor view(std::int64_t offset, const Shape& shape) const;  // `shape` elements from element `offset` on

  Tensor clone() const;                 // a copy of the bytes, same device
  Tensor to(Device device) const;       // itself when it is there already, else a copy
  void copy_from(const Tensor& other);  // same shape and dtype; devices may differ
  void fill_zero();
  // The values, wherever they are, as std::vector<T> (T must be the dtype).
  template <class T>
  std::vector<T> to_vector() const;
  std::vector<double> to_doubles() const;  // of float32 or float64

 private:
  struct Storage;
  std::shared_ptr<Storage> storage_;
  std::int64_t offset_bytes_ = 0;
  Shape shape_;
  DType dtype_ = DType::float32;
  Device device_;
};

template <class T>
Tensor Tensor::from(const Shape& shape, const std::vector<T>& values) {
  ACTGRAD_CHECK(static_cast<std::int64_t>(values.size()) == shape.numel(), "value count");
  Tensor tensor = empty(shape, dtype_of<T>::value);
  if (!values.empty()) std::memcpy(tensor.raw(), values.data(), tensor.bytes());
  return tensor;
}

template <class T>
std::vector<T> Tensor::to_vector() const {
  const Tensor here = to(Device{});
  const T* begin = here.data<T>();
  return std::vector<T>(begin, begin + numel());
}

}  // namespace actgrad
