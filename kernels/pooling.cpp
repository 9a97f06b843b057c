#include "kernels/pooling.h"

#include <type_traits>

#include "kernels/dispatch.h"
#include "kernels/flat.h"
#include "kernels/maximum.h"
#include "kernels/pack.h"
#include "kernels/registry.h"

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
    ACTGRAD_CHECK(y.dim(1) > 0 && y.dim(2) > 0, "image smaller than the window");
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

// Max pooling works on packs of channels. Where the channels do not fill the last pack, as with the 6 of LeNet-5, that
// pack runs over into the next pixels: harmless, since whatever it spoils there is written right afterwards. `Wide`
// says that a row may do so; rows at the end of a thread's range or of a tensor use single numbers for the rest
// instead. Calls f.template operator()<P>(channel).
template <bool Wide, class T, class F>
void for_each_pack(std::int64_t channels, F&& f) {
  constexpr std::int64_t width = lanes<Pack<T>, T>;
  std::int64_t c = 0;
  for (; Wide ? c < channels : c + width <= channels; c += width) f.template operator()<Pack<T>>(c);
  for (; c < channels; ++c) f.template operator()<T>(c);
}

template <class Index>
void store_bytes(std::uint8_t* to, Index index) {
  if constexpr (std::is_same_v<Index, int>) {
    *to = static_cast<std::uint8_t>(index);
  } else {
    constexpr std::size_t count = sizeof(index) / sizeof(index[0]);
    using Bytes = typename VectorOf<std::uint8_t, count>::type;
    store(to, __builtin_convertvector(index, Bytes));
  }
}

template <class Index>
Index load_bytes(const std::uint8_t* from) {
  if constexpr (std::is_same_v<Index, int>) {
    return *from;
  } else {
    Index index{};
    for (std::size_t i = 0; i < sizeof(index) / sizeof(index[0]); ++i) index[i] = from[i];
    return index;
  }
}

// One row of the result. x: the image; y and winners: the row.
template <bool Wide, class T>
void max_pool_row(const Pooling& g, std::int64_t oy, const T* x, T* y, std::uint8_t* winners) {
  const Range ys = g.inside(oy, g.height);
  for (std::int64_t ox = 0; ox < g.out_width; ++ox) {
    const Range xs = g.inside(ox, g.width);
    const T* const corner = x + ((oy * g.stride - g.padding) * g.width + ox * g.stride - g.padding) * g.channels;
    for_each_pack<Wide, T>(g.channels, [&]<class P>(std::int64_t c) {
      Maximum<T, P> best;
      best.winner += static_cast<int>(ys.begin * g.size + xs.begin);
      for (std::int64_t ky = ys.begin; ky < ys.end; ++ky)
        for (std::int64_t kx = xs.begin; kx < xs.end; ++kx)
          best.offer(load<P>(corner + (ky * g.width + kx) * g.channels + c), static_cast<int>(ky * g.size + kx));
      store(y + ox * g.channels + c, best.value);
      if (winners) store_bytes(winners + ox * g.channels + c, best.winner);
    });
  }
}

// The gradient of the rows of x that belong to one row of the result, for windows that tile the image. dx: the first of
// these rows; rows: how many, more than `size` if they are the image's last.
template <bool Wide, class T>
void tiled_max_pool_gradient(const Pooling& g, std::int64_t rows, const T* dy, const std::uint8_t* winners, T* dx) {
  const std::int64_t covered = g.out_width * g.size * g.channels, row = g.width * g.channels;
  for (std::int64_t ky = 0; ky < g.size; ++ky, dx += row) {
    for (std::int64_t ox = 0; ox < g.out_width; ++ox)
      for (std::int64_t kx = 0; kx < g.size; ++kx)
        for_each_pack<Wide, T>(g.channels, [&]<class P>(std::int64_t c) {
          using Index = typename IndexOf<P>::type;
          const auto won =
              load_bytes<Index>(winners + ox * g.channels + c) == Index{} + static_cast<int>(ky * g.size + kx);
          store<P>(dx + (ox * g.size + kx) * g.channels + c, won ? load<P>(dy + ox * g.channels + c) : P{});
        });
    std::fill(dx + covered, dx + row, T(0));
  }
  std::fill(dx, dx + (rows - g.size) * row, T(0));
}

// Any windows: adds every gradient to the element that it came from.
template <class T>
void scatter_max_pool_gradient(const Pooling& g, const T* dy, const std::uint8_t* winners, T* dx) {
  for (std::int64_t oy = 0; oy < g.out_height; ++oy)
    for (std::int64_t ox = 0; ox < g.out_width; ++ox)
      for (std::int64_t c = 0; c < g.channels; ++c, ++dy, ++winners) {
        const std::int64_t y = oy * g.stride + *winners / g.size - g.padding;
        const std::int64_t x = ox * g.stride + *winners % g.size - g.padding;
        dx[(y * g.width + x) * g.channels + c] += *dy;
      }
}

}  // namespace

void max_pool_forward(const Tensor& x, const PoolGeometry& geometry, Tensor& y, Tensor& argmax) {
  const Pooling g(x, y, geometry);
  ACTGRAD_CHECK(g.size <= 16, "the window's index must fit a byte");
  if (argmax) ACTGRAD_CHECK(argmax.shape() == y.shape(), "argmax " + argmax.shape().to_string());
  const std::int64_t in_row = g.width * g.channels, out_row = g.out_width * g.channels;
  ACTGRAD_DISPATCH(max_pool_forward, x, x, geometry, y, argmax);
  visit_floating(x.dtype(), [&]<class T>() {
    const T* const in = x.data<T>();
    T* const out = y.data<T>();
    std::uint8_t* const winners = argmax ? argmax.data<std::uint8_t>() : nullptr;
    parallel_for(g.images * g.out_height, g.grain(out_row * g.size * g.size), [&](Range range, int) {
      for (std::int64_t row = range.begin; row < range.end; ++row) {
        const std::int64_t image = row / g.out_height, oy = row % g.out_height;
        const std::int64_t last = image * g.height + std::min(oy * g.stride - g.padding + g.size, g.height) - 1;
        const bool wide = (range.end - row - 1) * out_row >= lanes<Pack<T>, T> &&
                          (g.images * g.height - last - 1) * in_row >= lanes<Pack<T>, T>;
        (wide ? max_pool_row<true, T> : max_pool_row<false, T>)(g, oy, in + image * g.height * in_row,
                                                                out + row * out_row,
                                                                winners ? winners + row * out_row : nullptr);
      }
    });
  });
}

void max_pool_backward(const Tensor& dy, const Tensor& argmax, const PoolGeometry& geometry, Tensor& dx, Write mode) {
  const Pooling g(dx, dy, geometry);
  ACTGRAD_CHECK(argmax.shape() == dy.shape(), "argmax " + argmax.shape().to_string());
  const std::int64_t in_row = g.width * g.channels, out_row = g.out_width * g.channels;
  ACTGRAD_DISPATCH(max_pool_backward, dy, dy, argmax, geometry, dx, mode);
  visit_floating(dy.dtype(), [&]<class T>() {
    const T* const in = dy.data<T>();
    const std::uint8_t* const winners = argmax.data<std::uint8_t>();
    T* const out = dx.data<T>();
    if (mode == Write::overwrite && g.stride == g.size && g.padding == 0) {  // each element of dx is written once
      parallel_for(g.images * g.out_height, g.grain(out_row * g.size * g.size), [&](Range range, int) {
        for (std::int64_t row = range.begin; row < range.end; ++row) {
          const std::int64_t image = row / g.out_height, oy = row % g.out_height;
          const std::int64_t rows = oy + 1 < g.out_height ? g.size : g.height - oy * g.size;
          const bool wide = (range.end - row - 1) * out_row >= lanes<Pack<T>, T>;
          (wide ? tiled_max_pool_gradient<true, T>
                : tiled_max_pool_gradient<false, T>)(g, rows, in + row * out_row, winners + row * out_row,
                                                     out + (image * g.height + oy * g.size) * in_row);
        }
      });
      return;
    }
    const std::int64_t in_image = g.height * in_row, out_image = g.out_height * out_row;
    parallel_for(g.images, g.grain(in_image), [&](Range range, int) {
      if (mode == Write::overwrite) std::fill(out + range.begin * in_image, out + range.end * in_image, T(0));
      for (std::int64_t n = range.begin; n < range.end; ++n)
        scatter_max_pool_gradient(g, in + n * out_image, winners + n * out_image, out + n * in_image);
    });
  });
}

void avg_pool_forward(const Tensor& x, const PoolGeometry& geometry, Tensor& y) {
  const Pooling g(x, y, geometry);
  ACTGRAD_DISPATCH(avg_pool_forward, x, x, geometry, y);
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
  ACTGRAD_DISPATCH(avg_pool_backward, dy, dy, geometry, dx, mode);
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
  ACTGRAD_DISPATCH(global_avg_pool_forward, x, x, y);
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
  ACTGRAD_DISPATCH(global_avg_pool_backward, dy, dy, dx, mode);
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
