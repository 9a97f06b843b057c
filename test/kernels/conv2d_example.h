// Convolutions with random tensors and what the formula of kernels/conv2d.h gives for them, in double.
#pragma once

#include <functional>

#include "kernels/conv2d.h"
#include "test/kernels/values.h"

namespace actgrad::test {

using kernels::Conv2dGeometry;

inline std::string describe(const Conv2dGeometry& g) {
  return std::to_string(g.batch) + " of " + std::to_string(g.height) + "x" + std::to_string(g.width) + ", channels " +
         std::to_string(g.in_channels) + " -> " + std::to_string(g.out_channels) + ", kernel " +
         std::to_string(g.kernel_h) + "x" + std::to_string(g.kernel_w) + ", stride " + std::to_string(g.stride) +
         ", padding " + std::to_string(g.padding) + ", dilation " + std::to_string(g.dilation) + ", groups " +
         std::to_string(g.groups);
}

// Calls visit(element of x, element of w, element of y) for every product of the convolution's formula.
template <class Visit>
void for_each_product(const Conv2dGeometry& g, Visit&& visit) {
  std::size_t y = 0;
  for (std::int64_t n = 0; n < g.batch; ++n)
    for (std::int64_t oy = 0; oy < g.out_height(); ++oy)
      for (std::int64_t ox = 0; ox < g.out_width(); ++ox)
        for (std::int64_t o = 0; o < g.out_channels; ++o, ++y) {
          std::size_t w = static_cast<std::size_t>(o * g.patch_size());
          for (std::int64_t ky = 0; ky < g.kernel_h; ++ky)
            for (std::int64_t kx = 0; kx < g.kernel_w; ++kx)
              for (std::int64_t i = 0; i < g.group_in(); ++i, ++w) {
                const std::int64_t iy = oy * g.stride + ky * g.dilation - g.padding;
                const std::int64_t ix = ox * g.stride + kx * g.dilation - g.padding;
                if (iy < 0 || iy >= g.height || ix < 0 || ix >= g.width) continue;
                const std::int64_t channel = o / g.group_out() * g.group_in() + i;
                visit(static_cast<std::size_t>(((n * g.height + iy) * g.width + ix) * g.in_channels + channel), w, y);
              }
        }
}

// A convolution with random tensors, and what it must give.
struct Example {
  Conv2dGeometry g;
  Tensor x, weight, bias, dy;
  std::vector<double> y, y_with_bias, dx, dweight;
};

template <class T>
Example example(const Conv2dGeometry& g) {
  Example e{g,
            random_tensor<T>(g.input_shape(), 1),
            random_tensor<T>(g.weight_shape(), 2),
            random_tensor<T>({g.out_channels}, 3),
            random_tensor<T>(g.output_shape(), 4),
            {},
            {},
            {},
            {}};
  const std::vector<double> x = doubles(e.x), w = doubles(e.weight), b = doubles(e.bias), dy = doubles(e.dy);
  e.y.resize(dy.size());
  e.dx.resize(x.size());
  e.dweight.resize(w.size());
  for_each_product(g, [&](std::size_t ix, std::size_t iw, std::size_t iy) {
    e.y[iy] += x[ix] * w[iw];
    e.dx[ix] += dy[iy] * w[iw];
    e.dweight[iw] += dy[iy] * x[ix];
  });
  e.y_with_bias = e.y;
  for (std::size_t i = 0; i < e.y.size(); ++i) e.y_with_bias[i] += b[i % b.size()];
  return e;
}

inline double largest(const std::vector<double>& values) {
  double result = 1e-30;
  for (const double value : values) result = std::max(result, std::abs(value));
  return result;
}

// Runs one direction over a target full of other values and compares, relative to the largest expected value.
inline void check(const std::vector<double>& expected, const Shape& shape, DType dtype, Write mode,
                  const std::function<void(Tensor&)>& run) {
  Tensor target = dtype == DType::float32 ? random_tensor<float>(shape, 5) : random_tensor<double>(shape, 5);
  const std::vector<double> goal = mode == Write::accumulate ? plus(target, expected) : expected;
  run(target);
  CHECK(distance(target, goal) <= (dtype == DType::float32 ? 1e-5 : 1e-13) * largest(goal));
}

}  // namespace actgrad::test
