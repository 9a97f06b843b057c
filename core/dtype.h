// Element types of tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace actgrad {

enum class DType : std::uint8_t { float32, float64, bfloat16, uint8, int32 };

std::size_t size_of(DType dtype);  // bytes per element
const char* name_of(DType dtype);  // "float32"
bool is_floating(DType dtype);     // float32, float64, bfloat16

// Storage of a bfloat16 element: the upper half of a float32. Arithmetic happens in float32.
struct bfloat16 {
  std::uint16_t bits;
};

// The DType of a C++ type.
template <class T>
struct dtype_of;
template <>
struct dtype_of<float> {
  static constexpr DType value = DType::float32;
};
template <>
struct dtype_of<double> {
  static constexpr DType value = DType::float64;
};
template <>
struct dtype_of<bfloat16> {
  static constexpr DType value = DType::bfloat16;
};
template <>
struct dtype_of<std::uint8_t> {
  static constexpr DType value = DType::uint8;
};
template <>
struct dtype_of<std::int32_t> {
  static constexpr DType value = DType::int32;
};

}  // namespace actgrad
