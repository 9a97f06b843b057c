#include "kernels/im2col.h"

#include <algorithm>

#include "kernels/parallel.h"

namespace actgrad::kernels {
namespace {

// Calls f(row, k, pixel, count) for pieces that cover the column matrix of the output lines [begin, end), OH of them
// per image: columns [k, k + count) of `row` show as many elements of x from element `pixel` on, or are zero when pixel
// is −1 (outside of the image).
template <class F>
void for_each_piece(const Conv2dGeometry& g, std::int64_t begin, std::int64_t end, std::int64_t group, F&& f) {
  const std::int64_t out_h = g.out_height(), out_w = g.out_width(), channels = g.group_in();
  // Neighbours in a row of the kernel are neighbours in memory too, unless the kernel has holes or sees some channels
  // only.
  const std::int64_t step = g.dilation == 1 && g.groups == 1 ? g.kernel_w : 1;
  std::int64_t row = 0;
  for (std::int64_t line = begin; line < end; ++line) {
    const std::int64_t n = line / out_h, oy = line % out_h;
    for (std::int64_t ox = 0; ox < out_w; ++ox, ++row)
      for (std::int64_t ky = 0; ky < g.kernel_h; ++ky)
        for (std::int64_t kx = 0; kx < g.kernel_w; kx += step) {
          const std::int64_t y = oy * g.stride + ky * g.dilation - g.padding;
          const std::int64_t x = ox * g.stride + kx * g.dilation - g.padding;
          // Of `step` pixels from x on, the first `left` and the last `right` lie outside.
          const std::int64_t left = y < 0 || y >= g.height ? step : std::clamp<std::int64_t>(-x, 0, step);
          const std::int64_t right = std::clamp<std::int64_t>(x + step - g.width, 0, step - left);
          const std::int64_t inside = step - left - right;
          const std::int64_t k = (ky * g.kernel_w + kx) * channels;
          if (left > 0) f(row, k, -1, left * channels);
          if (inside > 0) {
            const std::int64_t pixel = ((n * g.height + y) * g.width + x + left) * g.in_channels + group * channels;
            f(row, k + left * channels, pixel, inside * channels);
          }
          if (right > 0) f(row, k + (left + inside) * channels, -1, right * channels);
        }
  }
}

// Images per thread worth a thread of their own.
std::int64_t image_grain(const Conv2dGeometry& g) {
  return 1 + 16384 / std::max<std::int64_t>(1, g.out_height() * g.out_width() * g.patch_size());
}

}  // namespace

template <class T>
void im2col_lines(const Conv2dGeometry& g, const T* x, std::int64_t first, std::int64_t last, std::int64_t group,
                  T* columns, std::int64_t row_step) {
  for_each_piece(g, first, last, group, [&](auto row, auto k, auto pixel, auto n) {
    T* to = columns + row * row_step + k;
    if (pixel < 0)
      std::fill_n(to, n, T(0));
    else
      std::copy_n(x + pixel, n, to);
  });
}

template <class T>
void im2col(const Conv2dGeometry& g, const T* x, std::int64_t first, std::int64_t count, std::int64_t group,
            T* columns) {
  const std::int64_t lines = g.out_height(), patch = g.patch_size(), image = lines * g.out_width() * patch;
  parallel_for(count, image_grain(g), [&](Range range, int) {
    im2col_lines(g, x, (first + range.begin) * lines, (first + range.end) * lines, group, columns + range.begin * image,
                 patch);
  });
}

template <class T>
void col2im(const Conv2dGeometry& g, const T* columns, std::int64_t first, std::int64_t count, std::int64_t group,
            T* dx) {
  const std::int64_t rows = g.out_height() * g.out_width(), patch = g.patch_size();
  // Patches overlap within an image only: images are independent.
  parallel_for(count, image_grain(g), [&](Range range, int) {
    const T* block = columns + range.begin * rows * patch;
    const std::int64_t begin = (first + range.begin) * g.out_height(), end = (first + range.end) * g.out_height();
    for_each_piece(g, begin, end, group, [&](auto row, auto k, auto pixel, auto n) {
      if (pixel < 0) return;
      const T* from = block + row * patch + k;
      T* to = dx + pixel;
      for (std::int64_t i = 0; i < n; ++i) to[i] += from[i];
    });
  });
}

template void im2col_lines<float>(const Conv2dGeometry&, const float*, std::int64_t, std::int64_t, std::int64_t, float*,
                                  std::int64_t);
template void im2col_lines<double>(const Conv2dGeometry&, const double*, std::int64_t, std::int64_t, std::int64_t,
                                   double*, std::int64_t);
template void im2col<float>(const Conv2dGeometry&, const float*, std::int64_t, std::int64_t, std::int64_t, float*);
template void im2col<double>(const Conv2dGeometry&, const double*, std::int64_t, std::int64_t, std::int64_t, double*);
template void col2im<float>(const Conv2dGeometry&, const float*, std::int64_t, std::int64_t, std::int64_t, float*);
template void col2im<double>(const Conv2dGeometry&, const double*, std::int64_t, std::int64_t, std::int64_t, double*);

}  // namespace actgrad::kernels
