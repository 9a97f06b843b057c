#include "core/tensor.h"

#include "core/device_backend.h"
#include "core/memory.h"

namespace actgrad {

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::float32:
    case DType::int32: return 4;
    case DType::float64: return 8;
    case DType::bfloat16: return 2;
    case DType::uint8: return 1;
  }
  ACTGRAD_CHECK(false, "dtype");
}

const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::float32: return "float32";
    case DType::float64: return "float64";
    case DType::bfloat16: return "bfloat16";
    case DType::uint8: return "uint8";
    case DType::int32: return "int32";
  }
  ACTGRAD_CHECK(false, "dtype");
}

bool is_floating(DType dtype) {
  return dtype != DType::uint8 && dtype != DType::int32;
}

Shape::Shape(std::initializer_list<std::int64_t> dims) : Shape(std::vector<std::int64_t>(dims)) {}

Shape::Shape(const std::vector<std::int64_t>& dims) : rank_(static_cast<int>(dims.size())) {
  ACTGRAD_CHECK(dims.size() <= max_rank, "rank " + std::to_string(dims.size()));
  for (std::size_t i = 0; i < dims.size(); ++i) {
    ACTGRAD_CHECK(dims[i] >= 0, "negative dimension");
    dims_[i] = dims[i];
  }
}

std::int64_t Shape::numel() const {
  std::int64_t count = 1;
  for (int i = 0; i < rank_; ++i) count *= (*this)[i];
  return count;
}

std::string Shape::to_string() const {
  std::string text = "(";
  for (int i = 0; i < rank_; ++i) text += (i ? ", " : "") + std::to_string((*this)[i]);
  return text + ")";
}

struct Tensor::Storage {
  Storage(std::size_t count, Device where) : bytes(count), device(where), memory(detail::allocate(count, where)) {}
  ~Storage() { detail::deallocate(memory, bytes, device); }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  std::size_t bytes;
  Device device;
  void* memory;
};

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  Tensor tensor;
  tensor.shape_ = shape;
  tensor.dtype_ = dtype;
  tensor.device_ = device;
  tensor.storage_ = std::make_shared<Storage>(static_cast<std::size_t>(shape.numel()) * size_of(dtype), device);
  return tensor;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor tensor = empty(shape, dtype, device);
  tensor.fill_zero();
  return tensor;
}

void* Tensor::raw() const {
  ACTGRAD_CHECK(storage_, "undefined tensor");
  return static_cast<char*>(storage_->memory) + offset_bytes_;
}

Tensor Tensor::reshape(const Shape& shape) const {
  ACTGRAD_CHECK(shape.numel() == numel(), shape_.to_string() + " to " + shape.to_string());
  Tensor result = *this;
  result.shape_ = shape;
  return result;
}

Tensor Tensor::slice(std::int64_t begin, std::int64_t end) const {
  ACTGRAD_CHECK(rank() > 0 && 0 <= begin && begin <= end && end <= dim(0), "slice of " + shape_.to_string());
  std::vector<std::int64_t> dims;
  for (int i = 0; i < rank(); ++i) dims.push_back(dim(i));
  const std::int64_t row = dims[0] ? numel() / dims[0] : 0;
  dims[0] = end - begin;
  return view(begin * row, Shape(dims));
}

Tensor Tensor::view(std::int64_t offset, const Shape& shape) const {
  ACTGRAD_CHECK(offset >= 0 && offset + shape.numel() <= numel(), "view outside of " + shape_.to_string());
  Tensor result = *this;
  result.offset_bytes_ += offset * static_cast<std::int64_t>(size_of(dtype_));
  result.shape_ = shape;
  return result;
}

Tensor Tensor::clone() const {
  Tensor result = empty(shape_, dtype_, device_);
  result.copy_from(*this);
  return result;
}

Tensor Tensor::to(Device device) const {
  if (device == device_) return *this;
  Tensor result = empty(shape_, dtype_, device);
  result.copy_from(*this);
  return result;
}

void Tensor::copy_from(const Tensor& other) {
  ACTGRAD_CHECK(shape_ == other.shape_ && dtype_ == other.dtype_,
                shape_.to_string() + " from " + other.shape_.to_string());
  if (numel() == 0) return;
  if (device_.is_cpu() && other.device_.is_cpu())
    std::memmove(raw(), other.raw(), bytes());
  else if (device_ == other.device_)
    device_backend().copy_within(raw(), other.raw(), bytes());
  else
    device_backend().copy(raw(), other.raw(), bytes());
}

void Tensor::fill_zero() {
  if (numel() == 0) return;
  if (device_.is_cpu())
    std::memset(raw(), 0, bytes());
  else
    device_backend().fill_zero(raw(), bytes());
}

std::vector<double> Tensor::to_doubles() const {
  if (dtype() == DType::float64) return to_vector<double>();
  const std::vector<float> values = to_vector<float>();
  return {values.begin(), values.end()};
}

}  // namespace actgrad
