// Neighbouring numbers that cross memory together, 16 bytes at a time where rows of a matrix allow it.
#pragma once

#include <initializer_list>

#include "kernels/cuda/runtime.h"

namespace actgrad::cuda {

template <class T, int Width>
struct alignas(sizeof(T) * Width) Group {
  T values[Width];

  static __device__ Group load(const T* from) { return *reinterpret_cast<const Group*>(from); }
  __device__ void store(T* to) const { *reinterpret_cast<Group*>(to) = *this; }
  __device__ T operator[](int i) const { return values[i]; }
  __device__ T& operator[](int i) { return values[i]; }
};

// Numbers in 16 bytes.
template <class T>
inline constexpr int wide = static_cast<int>(16 / sizeof(T));

// Whether every row of `columns` numbers, in all of these arrays, consists of whole groups of 16 bytes.
template <class T>
bool fits_wide(std::int64_t columns, std::initializer_list<const void*> arrays) {
  bool fits = columns % wide<T> == 0;
  for (const void* const array : arrays) fits = fits && reinterpret_cast<std::uintptr_t>(array) % 16 == 0;
  return fits;
}

}  // namespace actgrad::cuda
