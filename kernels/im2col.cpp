#include "kernels/im2col.h"

#include <algorithm>

#include "kernels/parallel.h"

namespace actgrad::kernels {
namespace {

// Calls f(row, k, pixel) for each output position (n, oy, ox) of images [begin, end) and each kernel position (ky, kx):
// row is the row of the column matrix, k the first of the group_in() columns, and pixel the element of x that column k
// shows: channel `group`'s first of image n, or −1 outside of the image.
template <class F>
void for_each_patch_pixel(const Conv2dGeometry& g, std::int64_t begin, std::int64_t end, std::int64_t group, F&& f) {
  const std::int64_t out_h = g.out_height(), out_w = g.out_width();
  std::int64_t row = begin * out_h * out_w;
  for (std::int64_t n = begin; n < end; ++n)
    for (std::int64_t oy = 0; oy < out_h; ++oy)
      for (std::int64_t ox = 0; ox < out_w; ++ox, ++row)
        for (std::int64_t ky = 0, k = 0; ky < g.kernel_h; ++ky)
          for (std::int64_t kx = 0; kx < g.kernel_w; ++kx, k += g.group_in()) {
            const std::int64_t y = oy * g.stride + ky * g.dilation - g.padding;
            const std::int64_t x = ox * g.stride + kx * g.dilation - g.padding;
            const bool inside = y >= 0 && y < g.height && x >= 0 && x < g.width;
            f(row, k, inside ? ((n * g.height + y) * g.width + x) * g.in_channels + group * g.group_in() : -1);
          }
}

// Images per thread worth a thread of their own.
std::int64_t image_grain(const Conv2dGeometry& g) {
  return 1 + 16384 / std::max<std::int64_t>(1, g.out_height() * g.out_width() * g.patch_size());
}

}  // namespace

template <class T>
void im2col(const Conv2dGeometry& g, const T* x, std::int64_t first, std::int64_t count, std::int64_t group,
            T* columns) {
  const T* images = x + first * g.height * g.width * g.in_channels;
  const std::int64_t channels = g.group_in(), patch = g.patch_size();
  parallel_for(count, image_grain(g), [&](Range range, int) {
    for_each_patch_pixel(g, range.begin, range.end, group, [&](std::int64_t row, std::int64_t k, std::int64_t pixel) {
      T* to = columns + row * patch + k;
      if (pixel < 0)
        std::fill(to, to + channels, T(0));
      else
        std::copy(images + pixel, images + pixel + channels, to);
    });
  });
}

template <class T>
void col2im(const Conv2dGeometry& g, const T* columns, std::int64_t first, std::int64_t count, std::int64_t group,
            T* dx) {
  T* images = dx + first * g.height * g.width * g.in_channels;
  const std::int64_t channels = g.group_in(), patch = g.patch_size();
  // Patches overlap within an image only, so that images are independent.
  parallel_for(count, image_grain(g), [&](Range range, int) {
    for_each_patch_pixel(g, range.begin, range.end, group, [&](std::int64_t row, std::int64_t k, std::int64_t pixel) {
      if (pixel < 0) return;
      const T* from = columns + row * patch + k;
      for (std::int64_t i = 0; i < channels; ++i) images[pixel + i] += from[i];
    });
  });
}

template void im2col<float>(const Conv2dGeometry&, const float*, std::int64_t, std::int64_t, std::int64_t, float*);
template void im2col<double>(const Conv2dGeometry&, const double*, std::int64_t, std::int64_t, std::int64_t, double*);
template void col2im<float>(const Conv2dGeometry&, const float*, std::int64_t, std::int64_t, std::int64_t, float*);
template void col2im<double>(const Conv2dGeometry&, const double*, std::int64_t, std::int64_t, std::int64_t, double*);

}  // namespace actgrad::kernels
