// Sums over what each kernel offset of a convolution sees of an image: a shifted, strided window of it.
#pragma once

#include <algorithm>

#include "kernels/conv2d.h"
#include "kernels/parallel.h"

namespace actgrad::kernels {

// The output positions whose input coordinate o·stride + offset lies in [0, size).
inline Range valid_outputs(std::int64_t offset, std::int64_t stride, std::int64_t size, std::int64_t outputs) {
  const std::int64_t begin = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const std::int64_t end = offset >= size ? 0 : (size - 1 - offset) / stride + 1;
  return {std::min(begin, outputs), std::min(end, outputs)};
}

// Calls f(group, first column, sums, channels of a group) for every group and kernel offset, whose columns of the
// im2col matrix are [first column, first column + channels): sums of `image` (H, W, C) over the output positions, taken
// in the type of the scratch (W + 1, C).
template <class Sum, class T, class F>
void sum_windows(const Conv2dGeometry& g, const T* image, Sum* scratch, const F& f) {
  const std::int64_t row = g.width * g.in_channels, in = g.group_in();
  Sum* const sums = scratch + row;
  // The window of (ky, kx) is a product of row and column ranges: rows are summed first, once per ky.
  for (std::int64_t ky = 0; ky < g.kernel_h; ++ky) {
    std::fill_n(scratch, row, Sum(0));
    const std::int64_t y0 = ky * g.dilation - g.padding;
    const Range ys = valid_outputs(y0, g.stride, g.height, g.out_height());
    for (std::int64_t oy = ys.begin; oy < ys.end; ++oy) {
      const T* const line = image + (oy * g.stride + y0) * row;
      for (std::int64_t j = 0; j < row; ++j) scratch[j] += static_cast<Sum>(line[j]);
    }
    for (std::int64_t kx = 0; kx < g.kernel_w; ++kx) {
      std::fill_n(sums, g.in_channels, Sum(0));
      const std::int64_t x0 = kx * g.dilation - g.padding;
      const Range xs = valid_outputs(x0, g.stride, g.width, g.out_width());
      for (std::int64_t ox = xs.begin; ox < xs.end; ++ox) {
        const Sum* const pixel = scratch + (ox * g.stride + x0) * g.in_channels;
        for (std::int64_t c = 0; c < g.in_channels; ++c) sums[c] += pixel[c];
      }
      for (std::int64_t group = 0; group < g.groups; ++group)
        f(group, (ky * g.kernel_w + kx) * in, sums + group * in, in);
    }
  }
}

}  // namespace actgrad::kernels
