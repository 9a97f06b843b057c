// What tensor cores do to the factors of a product: they keep 10 bits of the mantissa (TF32) or 7 (bfloat16).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace actgrad::cuda_emulator {

// The nearest number with `bits` bits of mantissa.
inline float with_mantissa(float value, int bits) {
  if (!std::isfinite(value)) return value;
  std::uint32_t word;
  std::memcpy(&word, &value, sizeof word);
  const std::uint32_t dropped = 23 - static_cast<std::uint32_t>(bits), half = (1u << (dropped - 1)) - 1;
  word += half + (word >> dropped & 1);  // to even
  word &= ~((1u << dropped) - 1);
  std::memcpy(&value, &word, sizeof value);
  return value;
}

}  // namespace actgrad::cuda_emulator
