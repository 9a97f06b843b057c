// Register blocking: tiles of sums whose sizes are known to the compiler, and loops over blocks of such sizes.
#pragma once

#include <utility>

#include "kernels/pack.h"

namespace actgrad::kernels {

// Calls f.template operator()<n>() for n from 1 to Max.
template <int Max, class F>
void with_constant(std::int64_t n, const F& f) {
  [&]<int... Index>(std::integer_sequence<int, Index...>) {
    ((n == Index + 1 ? f.template operator()<Index + 1>() : void()), ...);
  }
  (std::make_integer_sequence<int, Max>());
}

// Cuts [0, n) into as few blocks of at most Max as possible, of nearly equal length; f.template
// operator()<length>(first).
template <int Max, class F>
void for_each_block(std::int64_t n, const F& f) {
  const std::int64_t blocks = (n + Max - 1) / Max;
  for (std::int64_t b = 0; b < blocks; ++b) {
    const std::int64_t begin = n * b / blocks, end = n * (b + 1) / blocks;
    with_constant<Max>(end - begin, [&]<int Length>() { f.template operator()<Length>(begin); });
  }
}

// A tile of sums of type P, a pack. Loops over it are unrolled, so that each sum has its register.
template <class P, int Rows, int Columns>
struct Tile {
  P sums[Rows][Columns];

  // f(sum, row, column) for each of them.
  template <class F>
  [[gnu::always_inline]] void for_each(const F& f) {
#pragma GCC unroll 16
    for (int row = 0; row < Rows; ++row)
#pragma GCC unroll 16
      for (int column = 0; column < Columns; ++column) f(sums[row][column], row, column);
  }
};

}  // namespace actgrad::kernels
