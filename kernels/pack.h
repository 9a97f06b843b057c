// Packs: as many numbers as fit one vector register of the machine that the code is compiled for. Packs add, multiply
// and compare lane by lane, and `mask ? a : b` chooses by lane, so one template serves packs and single numbers.
// Used where the compiler does not find the vectors itself: several accumulators that live in registers across a loop
// over rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace actgrad::kernels {

#if defined(__AVX512F__)
inline constexpr std::size_t pack_bytes = 64;
#elif defined(__AVX__)
inline constexpr std::size_t pack_bytes = 32;
#else
inline constexpr std::size_t pack_bytes = 16;
#endif

template <class T, std::size_t Count>
struct VectorOf {
  typedef T type __attribute__((vector_size(Count * sizeof(T))));
};
template <class T>
using Pack = typename VectorOf<T, pack_bytes / sizeof(T)>::type;

// Lanes of P, which is Pack<T> or T itself.
template <class P, class T>
inline constexpr std::int64_t lanes = sizeof(P) / sizeof(T);

template <class P, class T>
inline P load(const T* from) {
  P value;
  std::memcpy(&value, from, sizeof(P));
  return value;
}

template <class P, class T>
inline void store(T* to, P value) {
  std::memcpy(to, &value, sizeof(P));
}

// Covers the channels [0, n) with calls f.template operator()<P, Count>(first channel), each responsible for Count
// neighbours of type P: four packs as long as they fit, then fewer, then single numbers.
template <class T, class F>
void for_each_pack_group(std::int64_t n, F&& f) {
  constexpr std::int64_t width = lanes<Pack<T>, T>;
  std::int64_t c = 0;
  for (; c + 4 * width <= n; c += 4 * width) f.template operator()<Pack<T>, 4>(c);
  for (; c + 2 * width <= n; c += 2 * width) f.template operator()<Pack<T>, 2>(c);
  for (; c + width <= n; c += width) f.template operator()<Pack<T>, 1>(c);
  for (; c < n; ++c) f.template operator()<T, 1>(c);
}

}  // namespace actgrad::kernels
