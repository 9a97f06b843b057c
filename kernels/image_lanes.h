// Images side by side in vector lanes: one group of images becomes an array of packs, where pack j holds number j of
// every image of the group. Arithmetic on such arrays fills whole registers whatever the number of channels is, and
// never moves a number from lane to lane.
#pragma once

#include <algorithm>
#include <utility>

#include "kernels/pack.h"

namespace actgrad::kernels {

using ImageLanes = Pack<float>;
inline constexpr std::int64_t images_per_group = lanes<ImageLanes, float>;

// Lanes of `a` with that bit set change places with those of `b` without it.
template <int Bit, int... Lane>
[[gnu::always_inline]] inline void exchange_lanes(ImageLanes& a, ImageLanes& b, std::integer_sequence<int, Lane...>) {
  constexpr int count = sizeof...(Lane);
  const ImageLanes first = __builtin_shufflevector(a, b, (Lane & Bit ? count + Lane - Bit : Lane)...);
  b = __builtin_shufflevector(a, b, (Lane & Bit ? count + Lane : Lane + Bit)...);
  a = first;
}

// Lane l of square[r] changes places with lane r of square[l]: of the two numbers one bit after the other.
template <int Bit = 1>
[[gnu::always_inline]] inline void transpose(ImageLanes (&square)[images_per_group]) {
  if constexpr (Bit < images_per_group) {
#pragma GCC unroll 16
    for (int r = 0; r < images_per_group; ++r)
      if (!(r & Bit))
        exchange_lanes<Bit>(square[r], square[r | Bit], std::make_integer_sequence<int, images_per_group>());
    transpose<2 * Bit>(square);
  }
}

// Calls block(j) for squares of images_per_group numbers that cover [0, n), the last of which may overlap its
// neighbour, or single(j) for each number if n is smaller than a square.
template <class Block, class Single>
void for_each_square(std::int64_t n, const Block& block, const Single& single) {
  if (n < images_per_group)
    for (std::int64_t j = 0; j < n; ++j) single(j);
  else
    for (std::int64_t j = 0; j < n; j += images_per_group) block(std::min(j, n - images_per_group));
}

// to[j] = number j of each of `images` images, which lie `stride` apart, for j in [0, n). Lanes without image: 0.
inline void gather_lanes(const float* from, std::int64_t stride, std::int64_t images, std::int64_t n, ImageLanes* to) {
  for_each_square(
      n,
      [=](std::int64_t j) {
        ImageLanes square[images_per_group];
        for (std::int64_t i = 0; i < images_per_group; ++i)
          square[i] = i < images ? load<ImageLanes>(from + i * stride + j) : ImageLanes{};
        transpose(square);
        for (std::int64_t i = 0; i < images_per_group; ++i) to[j + i] = square[i];
      },
      [=](std::int64_t j) {
        to[j] = ImageLanes{};
        for (std::int64_t i = 0; i < images; ++i) to[j][i] = from[i * stride + j];
      });
}

// The way back: number j of each image = from[j].
inline void scatter_lanes(const ImageLanes* from, std::int64_t n, std::int64_t images, float* to, std::int64_t stride) {
  for_each_square(
      n,
      [=](std::int64_t j) {
        ImageLanes square[images_per_group];
        for (std::int64_t i = 0; i < images_per_group; ++i) square[i] = from[j + i];
        transpose(square);
        for (std::int64_t i = 0; i < images_per_group; ++i)
          if (i < images) store(to + i * stride + j, square[i]);
      },
      [=](std::int64_t j) {
        for (std::int64_t i = 0; i < images; ++i) to[i * stride + j] = from[j][i];
      });
}

inline float sum_of_lanes(ImageLanes pack) {
  float sum = 0;
  for (std::int64_t i = 0; i < images_per_group; ++i) sum += pack[i];
  return sum;
}

}  // namespace actgrad::kernels
