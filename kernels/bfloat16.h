// bfloat16: the upper half of a float32, so its 8 bits of exponent and 7 of mantissa.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "core/dtype.h"
#include "kernels/formulas.h"

namespace actgrad::kernels::formulas {

// The nearest one, of two equally near the one whose last bit is 0. NaN stays NaN, and what is too large becomes
// infinite.
ACTGRAD_HOST_DEVICE inline bfloat16 to_bfloat16(float value) {
  const std::uint32_t word = std::bit_cast<std::uint32_t>(value);
  if (value != value) return {static_cast<std::uint16_t>(word >> 16 | 0x40)};  // a quiet one, whatever was cut off
  return {static_cast<std::uint16_t>((word + 0x7FFF + (word >> 16 & 1)) >> 16)};
}

ACTGRAD_HOST_DEVICE inline float from_bfloat16(bfloat16 value) {
  return std::bit_cast<float>(std::uint32_t{value.bits} << 16);
}

// Any of float, double and bfloat16 as any other; double becomes bfloat16 by way of float.
template <class To, class From>
ACTGRAD_HOST_DEVICE inline To converted(From value) {
  if constexpr (std::is_same_v<To, From>)
    return value;
  else if constexpr (std::is_same_v<From, bfloat16>)
    return static_cast<To>(from_bfloat16(value));
  else if constexpr (std::is_same_v<To, bfloat16>)
    return to_bfloat16(static_cast<float>(value));
  else
    return static_cast<To>(value);
}

}  // namespace actgrad::kernels::formulas
