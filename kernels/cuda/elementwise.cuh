// A function applied to every element of some arrays of equal length, 16 bytes at a time where they are aligned.
#pragma once

#include "kernels/cuda/group.cuh"

namespace actgrad::cuda {

// Arrays as the function sees them: it gets a `const T&` of In, a `T&` to be written of Out, both of InOut.
template <class T>
struct In {
  using Element = T;
  static constexpr bool reads = true, writes = false;
  const T* data;
};
template <class T>
struct Out {
  using Element = T;
  static constexpr bool reads = false, writes = true;
  T* data;
};
template <class T>
struct InOut {
  using Element = T;
  static constexpr bool reads = true, writes = true;
  T* data;
};

// `Width` neighbours of one array on their way through registers.
template <class Array, int Width>
struct Lanes {
  using Pack = Group<typename Array::Element, Width>;
  Array array;
  Pack pack;

  __device__ Lanes(Array from, std::int64_t at) : array(from) {
    if constexpr (Array::reads) pack = Pack::load(array.data + at);
  }
  __device__ void store(std::int64_t at) {
    if constexpr (Array::writes) pack.store(array.data + at);
  }
};

// f(k, element of each array) for the `Width` elements from `at` on.
template <int Width, class Constants, class F, class... Array>
__device__ void apply_lanes(std::int64_t at, const Constants& k, const F& f, Lanes<Array, Width>... lanes) {
  for (int i = 0; i < Width; ++i) f(k, lanes.pack[i]...);
  (lanes.store(at), ...);
}

template <int Width, class MakeConstants, class F, class... Array>
__global__ void elementwise_kernel(std::int64_t n, MakeConstants make_constants, F f, Array... arrays) {
  const auto k = make_constants();
  const std::int64_t packs = n / Width;
  for (std::int64_t i = first_element(); i < packs; i += element_step())
    apply_lanes<Width>(i * Width, k, f, Lanes<Array, Width>(arrays, i * Width)...);
  for (std::int64_t i = packs * Width + first_element(); i < n; i += element_step())
    apply_lanes<1>(i, k, f, Lanes<Array, 1>(arrays, i)...);
}

// f(k, element of each array) for n elements, with k = make_constants(), which each thread calls once. The calls of f
// must not depend on each other.
template <class MakeConstants, class F, class... Array>
void for_each_element_with(std::int64_t n, const MakeConstants& make_constants, const F& f, Array... arrays) {
  if (n == 0) return;
  constexpr int width = static_cast<int>(16 / std::max({sizeof(typename Array::Element)...}));
  const bool aligned = ((reinterpret_cast<std::uintptr_t>(arrays.data) % 16 == 0) && ...);
  if (aligned)
    launch(elementwise_kernel<width, MakeConstants, F, Array...>, blocks_for((n + width - 1) / width), block_size, 0,
           stream(), n, make_constants, f, arrays...);
  else
    launch(elementwise_kernel<1, MakeConstants, F, Array...>, blocks_for(n), block_size, 0, stream(), n, make_constants,
           f, arrays...);
}

struct NoConstants {};
struct MakeNoConstants {
  __device__ NoConstants operator()() const { return {}; }
};
template <class F>
struct WithoutConstants {
  F f;
  template <class... Element>
  __device__ void operator()(NoConstants, Element&... elements) const {
    f(elements...);
  }
};

// f(element of each array) for n elements. The calls must not depend on each other.
template <class F, class... Array>
void for_each_element(std::int64_t n, const F& f, Array... arrays) {
  for_each_element_with(n, MakeNoConstants{}, WithoutConstants<F>{f}, arrays...);
}

}  // namespace actgrad::cuda
