#include "kernels/pooling.h"

#include <limits>

#include "kernels/dispatch.h"
#include "kernels/flat.h"

namespace actgrad::kernels {
namespace {

// The sizes of both sides, and the part of each window that lies inside of the image.
struct Pooling {
  Pooling(const Tensor& x, const Tensor& y, const PoolGeometry& g)
      : size(g.size), stride(g.stride), padding(g.padding) {
    ACTGRAD_CHECK(size >= 1 && stride >= 1 && padding >= 0 && 2 * padding <= size, "pooling geometry");
    ACTGRAD_CHECK(x.rank() == 4 && (y.shape() == Shape{x.dim(0), g.out(x.dim(1)), g.out(x.dim(2)), x.dim(3)}) &&
                      x.dtype() == y.dtype(),
                  x.shape().to_string() + " to " + y.shape().to_string());
    ACTGRAD_CHECK(x.dim(1) + 2 * padding >= size && x.dim(2) + 2 * padding >= size, "image smaller than the window");
    images = x.dim(0), height = x.dim(1), width = x.dim(2), channels = x.dim(3);
    out_height = y.dim(1), out_width = y.dim(2);
  }
  // Window indices k of output position `out` for which out·stride + k − padding is in [0, limit).
  Range inside(std::int64_t out, std::int64_t limit) const {
    const std::int64_t first = out * stride - padding;
    return {std::max<std::int64_t>(0, -first), std::min(size, limit - first)};
  }
  std::int64_t grain(std::int64_t elements) const {
    return std::max<std::int64_t>(1, flat_grain / 4 / std::max<std::int64_t>(1, elements));
  }

  std::int64_t size, stride, padding;
  std::int64_t images, height, width, channels, out_height, out_width;
};

template <class T>
void max_pool_image(const Pooling& g, const T* x, T* y, std::uint8_t* argmax) {
  for (std::int64_t oy = 0; oy < g.out_height; ++oy)
    for (std::int64_t ox = 0; ox < g.out_width; ++ox) {
      const Range ys = g.inside(oy, g.height), xs = g.inside(ox, g.width);
      for (std::int64_t c = 0; c < g.channels; ++c) {
        T best = -std::numeric_limits<T>::infinity();
        std::int64_t winner = ys.begin * g.size + xs.begin;
        for (std::int64_t ky = ys.begin; ky < ys.end; ++ky)
          for (std::int64_t kx = xs.begin; kx < xs.end; ++kx) {
            const std::int64_t iy = oy * g.stride + ky - g.padding, ix = ox * g.stride + kx - g.padding;
            const T value = x[(iy * g.width + ix) * g.channels + c];
            if (value > best || value != value) best = value, winner = ky * g.size + kx;  // NaN wins, so that it shows
          }
        *y++ = best;
        if (argmax) *argmax++ = static_cast<std::uint8_t>(winner);
      }
    }
}

}  // namespace

void max_pool_forward(const Tensor& x, const PoolGeometry& geometry, Tensor& y, Tensor& argmax) {
  const Pooling g(x, y, geometry);
  ACTGRAD_CHECK(g.size <= 16, "the window's index must fit a byte");
  if (argmax) ACTGRAD_CHECK(argmax.shape() == y.shape(), "argmax " + argmax.shape().to_string());
  const std::int64_t in_image = g.height * g.width * g.channels, out_image = g.out_height * g.out_width * g.channels;
  visit_floating(x.dtype(), [&]<class T>() {
    const T* const in = x.data<T>();
    T* const out = y.data<T>();
    std::uint8_t* const winners = argmax ? argmax.data<std::uint8_t>() : nullptr;
    parallel_for(g.images, g.grain(in_image), [&](Range range, int) {
      for (std::int64_t n = range.begin; n < range.end; ++n)
        max_pool_image(g, in + n * in_image, out + n * out_image, winners ? winners + n * out_image : nullptr);
    });
  });
}

void max_pool_backward(const Tensor& dy, const Tensor& argmax, const PoolGeometry& geometry, Tensor& dx, Write mode) {
  const Pooling g(dx, dy, geometry);
  ACTGRAD_CHECK(argmax.shape() == dy.shape(), "argmax " + argmax.shape().to_string());
  const std::int64_t in_image = g.height * g.width * g.channels;
  visit_floating(dy.dtype(), [&]<class T>() {
    const T* const in = dy.data<T>();
    const std::uint8_t* const winners = argmax.data<std::uint8_t>();
    T* const out = dx.data<T>();
    parallel_for(g.images, g.grain(in_image), [&](Range range, int) {
      if (mode == Write::overwrite) std::fill(out + range.begin * in_image, out + range.end * in_image, T(0));
      std::int64_t e = range.begin * g.out_height * g.out_width * g.channels;
      for (std::int64_t n = range.begin; n < range.end; ++n)
        for (std::int64_t oy = 0; oy < g.out_height; ++oy)
          for (std::int64_t ox = 0; ox < g.out_width; ++ox)
            for (std::int64_t c = 0; c < g.channels; ++c, ++e) {
              const std::int64_t iy = oy * g.stride + winners[e] / g.size - g.padding;
              const std::int64_t ix = ox * g.stride + winners[e] % g.size - g.padding;
              out[n * in_image + (iy * g.width + ix) * g.channels + c] += in[e];
            }
    });
  });
}

void avg_pool_forward(const Tensor& x, const PoolGeometry& geometry, Tensor& y) {
  const Pooling g(x, y, geometry);
  visit_floating(x.dtype(), [&]<class T>() {
    const T* const in = x.data<T>();
    T* const out = y.data<T>();
    const T share = T(1.0 / static_cast<double>(g.size * g.size));
    const std::int64_t in_image = g.height * g.width * g.channels;
    parallel_for(g.images, g.grain(in_image), [&](Range range, int) {
      T* mean = out + range.begin * g.out_height * g.out_width * g.channels;
      for (std::int64_t n = range.begin; n < range.end; ++n)
        for (std::int64_t oy = 0; oy < g.out_height; ++oy)
          for (std::int64_t ox = 0; ox < g.out_width; ++ox, mean += g.channels) {
            const Range ys = g.inside(oy, g.height), xs = g.inside(ox, g.width);
            std::fill(mean, mean + g.channels, T(0));
            for (std::int64_t ky = ys.begin; ky < ys.end; ++ky)
              for (std::int64_t kx = xs.begin; kx < xs.end; ++kx) {
                const std::int64_t iy = oy * g.stride + ky - g.padding, ix = ox * g.stride + kx - g.padding;
                const T* const pixel = in + n * in_image + (iy * g.width + ix) * g.channels;
#pragma omp simd
                for (std::int64_t c = 0; c < g.channels; ++c) mean[c] += pixel[c] * share;
              }
          }
    });
  });
}

void avg_pool_backward(const Tensor& dy, const PoolGeometry& geometry, Tensor& dx, Write mode) {
  const Pooling g(dx, dy, geometry);
  visit_floating(dy.dtype(), [&]<class T>() {
    const T* const in = dy.data<T>();
    T* const out = dx.data<T>();
    const T share = T(1.0 / static_cast<double>(g.size * g.size));
    const std::int64_t in_image = g.height * g.width * g.channels;
    parallel_for(g.images, g.grain(in_image), [&](Range range, int) {
      if (mode == Write::overwrite) std::fill(out + range.begin * in_image, out + range.end * in_image, T(0));
      const T* gradient = in + range.begin * g.out_height * g.out_width * g.channels;
      for (std::int64_t n = range.begin; n < range.end; ++n)
        for (std::int64_t oy = 0; oy < g.out_height; ++oy)
          for (std::int64_t ox = 0; ox < g.out_width; ++ox, gradient += g.channels) {
            const Range ys = g.inside(oy, g.height), xs = g.inside(ox, g.width);
            for (std::int64_t ky = ys.begin; ky < ys.end; ++ky)
              for (std::int64_t kx = xs.begin; kx < xs.end; ++kx) {
                const std::int64_t iy = oy * g.stride + ky - g.padding, ix = ox * g.stride + kx - g.padding;
                T* const pixel = out + n * in_image + (iy * g.width + ix) * g.channels;
#pragma omp simd
                for (std::int64_t c = 0; c < g.channels; ++c) pixel[c] += gradient[c] * share;
              }
          }
    });
  });
}

void global_avg_pool_forward(const Tensor& x, Tensor& y) {
  ACTGRAD_CHECK(x.rank() == 4 && (y.shape() == Shape{x.dim(0), x.dim(3)}) && x.dtype() == y.dtype() && x.numel() > 0,
                x.shape().to_string() + " to " + y.shape().to_string());
  const std::int64_t positions = x.dim(1) * x.dim(2), channels = x.dim(3);
  visit_floating(x.dtype(), [&]<class T>() {
    const T* const in = x.data<T>();
    T* const out = y.data<T>();
    const T share = T(1.0 / static_cast<double>(positions));
    parallel_for(x.dim(0), std::max<std::int64_t>(1, flat_grain / (positions * channels)), [&](Range range, int) {
      for (std::int64_t n = range.begin; n < range.end; ++n) {
        T* const mean = out + n * channels;
        std::fill(mean, mean + channels, T(0));
        for (std::int64_t p = n * positions; p < (n + 1) * positions; ++p) {
          const T* const pixel = in + p * channels;
#pragma omp simd
          for (std::int64_t c = 0; c < channels; ++c) mean[c] += pixel[c];
        }
        for (std::int64_t c = 0; c < channels; ++c) mean[c] *= share;
      }
    });
  });
}

void global_avg_pool_backward(const Tensor& dy, Tensor& dx, Write mode) {
  ACTGRAD_CHECK(
      dx.rank() == 4 && (dy.shape() == Shape{dx.dim(0), dx.dim(3)}) && dx.dtype() == dy.dtype() && dx.numel() > 0,
      dy.shape().to_string() + " to " + dx.shape().to_string());
  const std::int64_t positions = dx.dim(1) * dx.dim(2), channels = dx.dim(3);
  visit_floating(dy.dtype(), [&]<class T>() {
    const T* const in = dy.data<T>();
    T* const out = dx.data<T>();
    const T share = T(1.0 / static_cast<double>(positions));
    parallel_for(dx.dim(0), std::max<std::int64_t>(1, flat_grain / (positions * channels)), [&](Range range, int) {
      for (std::int64_t p = range.begin * positions; p < range.end * positions; ++p) {
        const T* const gradient = in + p / positions * channels;
        T* const pixel = out + p * channels;
        if (mode == Write::overwrite)
#pragma omp simd
          for (std::int64_t c = 0; c < channels; ++c) pixel[c] = gradient[c] * share;
        else
#pragma omp simd
          for (std::int64_t c = 0; c < channels; ++c) pixel[c] += gradient[c] * share;
      }
    });
  });
}

}  // namespace actgrad::kernels
