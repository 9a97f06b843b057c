#include <limits>

#include "kernels/cuda/group.cuh"
#include "kernels/cuda/im2col.h"
#include "kernels/cuda/runtime.h"

namespace actgrad::cuda {
namespace {

using kernels::Conv2dGeometry;

// The geometry as kernels need it, with channels counted in packs of `width`.
struct Patches {
  int height, width, out_height, out_width, kernel_h, kernel_w, stride, padding, dilation;
  int all_channels;   // of a pixel
  int channels;       // of the group
  int first_channel;  // of the group

  Patches(const Conv2dGeometry& g, std::int64_t group, int pack)
      : height(static_cast<int>(g.height)),
        width(static_cast<int>(g.width)),
        out_height(static_cast<int>(g.out_height())),
        out_width(static_cast<int>(g.out_width())),
        kernel_h(static_cast<int>(g.kernel_h)),
        kernel_w(static_cast<int>(g.kernel_w)),
        stride(static_cast<int>(g.stride)),
        padding(static_cast<int>(g.padding)),
        dilation(static_cast<int>(g.dilation)),
        all_channels(static_cast<int>(g.in_channels) / pack),
        channels(static_cast<int>(g.group_in()) / pack),
        first_channel(static_cast<int>(group * g.group_in()) / pack) {}
};

// The number of an entry, taken apart into its coordinates, the fastest first; `rest` is what is left: the slowest.
template <class Index>
struct Place {
  Index rest;
  __device__ int next(int size) {
    const int coordinate = static_cast<int>(rest % static_cast<Index>(size));
    rest /= static_cast<Index>(size);
    return coordinate;
  }
};

// One thread per column entry (or pack of them). Index: 32 bits where they suffice, since the position is found by
// division.
template <class Index, class Pack>
__global__ void im2col_kernel(Patches p, Index entries, const Pack* x, Pack* columns) {
  for (Index e = static_cast<Index>(first_element()); e < entries; e += static_cast<Index>(element_step())) {
    Place<Index> place{e};
    const int c = place.next(p.channels), kx = place.next(p.kernel_w), ky = place.next(p.kernel_h),
              ox = place.next(p.out_width), oy = place.next(p.out_height);
    const int iy = oy * p.stride + ky * p.dilation - p.padding, ix = ox * p.stride + kx * p.dilation - p.padding;
    const bool inside = iy >= 0 && iy < p.height && ix >= 0 && ix < p.width;
    Pack pixel{};
    if (inside)
      pixel = x[((static_cast<std::int64_t>(place.rest) * p.height + iy) * p.width + ix) * p.all_channels +
                p.first_channel + c];
    columns[e] = pixel;
  }
}

// One thread per pixel and channel (or pack of them): it gathers what would otherwise have to be added by atomics.
template <class Index, class T, int Width>
__global__ void col2im_kernel(Patches p, Index entries, const Group<T, Width>* columns, Group<T, Width>* dx,
                              bool accumulate) {
  for (Index e = static_cast<Index>(first_element()); e < entries; e += static_cast<Index>(element_step())) {
    Place<Index> place{e};
    const int c = place.next(p.channels), ix = place.next(p.width), iy = place.next(p.height);
    const auto n = static_cast<std::int64_t>(place.rest);
    Group<T, Width> sum{};
    for (int ky = 0; ky < p.kernel_h; ++ky) {
      const int y = iy + p.padding - ky * p.dilation;  // = oy · stride, if the patch at oy holds this pixel at ky
      if (y < 0 || y % p.stride != 0 || y / p.stride >= p.out_height) continue;
      for (int kx = 0; kx < p.kernel_w; ++kx) {
        const int x = ix + p.padding - kx * p.dilation;
        if (x < 0 || x % p.stride != 0 || x / p.stride >= p.out_width) continue;
        const std::int64_t row = (n * p.out_height + y / p.stride) * p.out_width + x / p.stride;
        const Group<T, Width> entry = columns[((row * p.kernel_h + ky) * p.kernel_w + kx) * p.channels + c];
        for (int i = 0; i < Width; ++i) sum[i] += entry[i];
      }
    }
    Group<T, Width>& pixel = dx[((n * p.height + iy) * p.width + ix) * p.all_channels + p.first_channel + c];
    if (accumulate)
      for (int i = 0; i < Width; ++i) sum[i] += pixel[i];
    pixel = sum;
  }
}

// Calls f(std::uint32_t or std::uint64_t, for as many entries).
template <class F>
void with_index(std::int64_t entries, const F& f) {
  // A thread's last increment must not overflow either.
  if (entries < std::numeric_limits<std::int32_t>::max())
    f(static_cast<std::uint32_t>(entries));
  else
    f(static_cast<std::uint64_t>(entries));
}

template <class T, int Width>
void im2col_in_packs(const Conv2dGeometry& g, const T* x, std::int64_t count, std::int64_t group, T* columns) {
  using Pack = Group<T, Width>;
  with_index(count * g.out_height() * g.out_width() * g.patch_size() / Width, [&](auto entries) {
    launch(im2col_kernel<decltype(entries), Pack>, blocks_for(static_cast<std::int64_t>(entries)), block_size, 0,
           stream(), Patches(g, group, Width), entries, reinterpret_cast<const Pack*>(x),
           reinterpret_cast<Pack*>(columns));
  });
}

template <class T, int Width>
void col2im_in_packs(const Conv2dGeometry& g, const T* columns, std::int64_t count, std::int64_t group, T* dx,
                     Write mode) {
  using Pack = Group<T, Width>;
  with_index(count * g.height * g.width * g.group_in() / Width, [&](auto entries) {
    launch(col2im_kernel<decltype(entries), T, Width>, blocks_for(static_cast<std::int64_t>(entries)), block_size, 0,
           stream(), Patches(g, group, Width), entries, reinterpret_cast<const Pack*>(columns),
           reinterpret_cast<Pack*>(dx), mode == Write::accumulate);
  });
}

}  // namespace

template <class T>
void im2col(const Conv2dGeometry& g, const T* x, std::int64_t first, std::int64_t count, std::int64_t group,
            T* columns) {
  if (count == 0) return;
  const T* const images = x + first * g.height * g.width * g.in_channels;
  if (fits_wide<T>(g.group_in(), {images, columns}))
    im2col_in_packs<T, wide<T>>(g, images, count, group, columns);
  else
    im2col_in_packs<T, 1>(g, images, count, group, columns);
}

template <class T>
void col2im(const Conv2dGeometry& g, const T* columns, std::int64_t first, std::int64_t count, std::int64_t group,
            T* dx, Write mode) {
  if (count == 0) return;
  T* const images = dx + first * g.height * g.width * g.in_channels;
  if (fits_wide<T>(g.group_in(), {columns, images}))
    col2im_in_packs<T, wide<T>>(g, columns, count, group, images, mode);
  else
    col2im_in_packs<T, 1>(g, columns, count, group, images, mode);
}

template void im2col<float>(const Conv2dGeometry&, const float*, std::int64_t, std::int64_t, std::int64_t, float*);
template void im2col<double>(const Conv2dGeometry&, const double*, std::int64_t, std::int64_t, std::int64_t, double*);
template void col2im<float>(const Conv2dGeometry&, const float*, std::int64_t, std::int64_t, std::int64_t, float*,
                            Write);
template void col2im<double>(const Conv2dGeometry&, const double*, std::int64_t, std::int64_t, std::int64_t, double*,
                             Write);

}  // namespace actgrad::cuda
