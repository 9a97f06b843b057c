// Everything gathers: a thread finds what belongs to its element of the result, window by window in the order in which
// the CPU adds, so no two threads write one element.
#include "kernels/pooling.h"

#include <limits>

#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/images.cuh"
#include "kernels/formulas.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

using cuda::Group;

// Windows on images x (N, H, W, C), one per pixel of y (N, OH, OW, C).
struct Windows {
  std::int64_t size, stride, padding;
  std::int64_t height, width, channels, out_height, out_width;

  Windows(const Tensor& x, const Tensor& y, const PoolGeometry& g)
      : size(g.size),
        stride(g.stride),
        padding(g.padding),
        height(x.dim(1)),
        width(x.dim(2)),
        channels(x.dim(3)),
        out_height(y.dim(1)),
        out_width(y.dim(2)) {}

  struct Span {
    std::int64_t begin, end;
  };
  // Where window `out` begins, along one side of the image: in the padding, if negative.
  __device__ std::int64_t corner(std::int64_t out) const { return out * stride - padding; }
  // What it covers of [0, limit).
  __device__ Span inputs(std::int64_t out, std::int64_t limit) const {
    return {std::max<std::int64_t>(0, corner(out)), std::min(limit, corner(out) + size)};
  }
  // The windows of [0, limit) that cover `in`.
  __device__ Span outputs(std::int64_t in, std::int64_t limit) const {
    const std::int64_t beyond = in + padding - size;  // the last corner that is too far away
    return {beyond < 0 ? 0 : beyond / stride + 1, std::min(limit, (in + padding) / stride + 1)};
  }

  // f(offset in x, index in the window) for what the window of (n, oy, ox) covers of channel c.
  template <class F>
  __device__ void for_each_input(std::int64_t n, std::int64_t oy, std::int64_t ox, std::int64_t c, const F& f) const {
    const Span ys = inputs(oy, height), xs = inputs(ox, width);
    for (std::int64_t y = ys.begin; y < ys.end; ++y)
      for (std::int64_t x = xs.begin; x < xs.end; ++x)
        f(((n * height + y) * width + x) * channels + c, static_cast<int>((y - corner(oy)) * size + x - corner(ox)));
  }
  // f(offset in y, index in the window) for every window that covers (n, y, x).
  template <class F>
  __device__ void for_each_output(std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c, const F& f) const {
    const Span ys = outputs(y, out_height), xs = outputs(x, out_width);
    for (std::int64_t oy = ys.begin; oy < ys.end; ++oy)
      for (std::int64_t ox = xs.begin; ox < xs.end; ++ox)
        f(((n * out_height + oy) * out_width + ox) * channels + c,
          static_cast<int>((y - corner(oy)) * size + x - corner(ox)));
  }
};

template <int Width, class T>
void max_pool(const Windows& w, const Tensor& x, Tensor& y, Tensor& argmax) {
  const T* const in = x.data<T>();
  T* const out = y.data<T>();
  std::uint8_t* const winners = argmax ? argmax.data<std::uint8_t>() : nullptr;
  cuda::for_each_pixel<Width>(
      y.shape(), [=] __device__(std::int64_t n, std::int64_t oy, std::int64_t ox, std::int64_t c, std::int64_t at) {
        Group<T, Width> best;
        Group<std::uint8_t, Width> winner;
        bool first = true;
        w.for_each_input(n, oy, ox, c, [&](std::int64_t from, int index) {
          const auto candidate = Group<T, Width>::load(in + from);
          for (int i = 0; i < Width; ++i)
            if (first || formulas::is_new_maximum(candidate[i], best[i])) {
              best[i] = candidate[i];
              winner[i] = static_cast<std::uint8_t>(index);
            }
          first = false;
        });
        best.store(out + at);
        if (winners) winner.store(winners + at);
      });
}

// Where the gradient starts: from what is there, or from zero.
template <int Width, class T>
__device__ Group<T, Width> start(const T* dx, Write mode) {
  if (mode == Write::accumulate) return Group<T, Width>::load(dx);
  return {};
}

template <int Width, class T>
void max_pool_gradient(const Windows& w, const Tensor& dy, const Tensor& argmax, Tensor& dx, Write mode) {
  const T* const in = dy.data<T>();
  const std::uint8_t* const winners = argmax.data<std::uint8_t>();
  T* const out = dx.data<T>();
  cuda::for_each_pixel<Width>(
      dx.shape(), [=] __device__(std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c, std::int64_t at) {
        auto sum = start<Width>(out + at, mode);
        w.for_each_output(n, y, x, c, [&](std::int64_t from, int index) {
          const auto winner = Group<std::uint8_t, Width>::load(winners + from);
          const auto gradient = Group<T, Width>::load(in + from);
          for (int i = 0; i < Width; ++i)
            if (winner[i] == index) sum[i] += gradient[i];
        });
        sum.store(out + at);
      });
}

template <class T>
T share_of(const Windows& w) {
  return T(1.0 / static_cast<double>(w.size * w.size));
}

template <int Width, class T>
void avg_pool(const Windows& w, const Tensor& x, Tensor& y) {
  const T* const in = x.data<T>();
  T* const out = y.data<T>();
  const T share = share_of<T>(w);
  cuda::for_each_pixel<Width>(
      y.shape(), [=] __device__(std::int64_t n, std::int64_t oy, std::int64_t ox, std::int64_t c, std::int64_t at) {
        Group<T, Width> mean = {};
        w.for_each_input(n, oy, ox, c, [&](std::int64_t from, int) {
          const auto value = Group<T, Width>::load(in + from);
          for (int i = 0; i < Width; ++i) mean[i] += value[i] * share;
        });
        mean.store(out + at);
      });
}

template <int Width, class T>
void avg_pool_gradient(const Windows& w, const Tensor& dy, Tensor& dx, Write mode) {
  const T* const in = dy.data<T>();
  T* const out = dx.data<T>();
  const T share = share_of<T>(w);
  cuda::for_each_pixel<Width>(
      dx.shape(), [=] __device__(std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c, std::int64_t at) {
        auto sum = start<Width>(out + at, mode);
        w.for_each_output(n, y, x, c, [&](std::int64_t from, int) {
          const auto gradient = Group<T, Width>::load(in + from);
          for (int i = 0; i < Width; ++i) sum[i] += gradient[i] * share;
        });
        sum.store(out + at);
      });
}

template <class T>
void max_pool_forward_of(const Tensor& x, const PoolGeometry& g, Tensor& y, Tensor& argmax) {
  const bool wide = cuda::fits_wide<T>(x.dim(3), {x.raw(), y.raw(), argmax ? argmax.raw() : nullptr});
  (wide ? max_pool<cuda::wide<T>, T> : max_pool<1, T>)(Windows(x, y, g), x, y, argmax);
}

template <class T>
void max_pool_backward_of(const Tensor& dy, const Tensor& argmax, const PoolGeometry& g, Tensor& dx, Write mode) {
  const bool wide = cuda::fits_wide<T>(dx.dim(3), {dy.raw(), argmax.raw(), dx.raw()});
  (wide ? max_pool_gradient<cuda::wide<T>, T> : max_pool_gradient<1, T>)(Windows(dx, dy, g), dy, argmax, dx, mode);
}

template <class T>
void avg_pool_forward_of(const Tensor& x, const PoolGeometry& g, Tensor& y) {
  const bool wide = cuda::fits_wide<T>(x.dim(3), {x.raw(), y.raw()});
  (wide ? avg_pool<cuda::wide<T>, T> : avg_pool<1, T>)(Windows(x, y, g), x, y);
}

template <class T>
void avg_pool_backward_of(const Tensor& dy, const PoolGeometry& g, Tensor& dx, Write mode) {
  const bool wide = cuda::fits_wide<T>(dx.dim(3), {dy.raw(), dx.raw()});
  (wide ? avg_pool_gradient<cuda::wide<T>, T> : avg_pool_gradient<1, T>)(Windows(dx, dy, g), dy, dx, mode);
}

// y[n, c] = mean over p of x[n, p, c]: a block per image and tile of channels, threadIdx.y strides over the positions.
template <class T>
__global__ void global_mean_kernel(std::int64_t images, std::int64_t positions, std::int64_t channels, const T* x,
                                   T* y) {
  const std::int64_t c = std::int64_t{blockIdx.y} * blockDim.x + threadIdx.x;
  for (std::int64_t n = blockIdx.x; n < images; n += gridDim.x) {
    double sum[1] = {};
    if (c < channels)
      for (std::int64_t p = threadIdx.y; p < positions; p += blockDim.y)
        sum[0] += static_cast<double>(x[(n * positions + p) * channels + c]);
    cuda::sum_over_y(sum);
    if (threadIdx.y == 0 && c < channels) y[n * channels + c] = static_cast<T>(sum[0] / static_cast<double>(positions));
  }
}

template <class T>
void global_avg_pool_forward_of(const Tensor& x, Tensor& y) {
  const std::int64_t positions = x.dim(1) * x.dim(2), channels = x.dim(3);
  const cuda::ColumnTiles tiles(positions, channels, 1);
  const dim3 grid(cuda::blocks_for(x.dim(0), 1), tiles.grid.x);
  cuda::launch(global_mean_kernel<T>, grid, tiles.block, 0, cuda::stream(), x.dim(0), positions, channels, x.data<T>(),
               y.data<T>());
}

template <int Width, class T>
void global_avg_pool_gradient(const Tensor& dy, Tensor& dx, Write mode) {
  const T* const in = dy.data<T>();
  T* const out = dx.data<T>();
  const std::int64_t channels = dx.dim(3);
  const T share = T(1.0 / static_cast<double>(dx.dim(1) * dx.dim(2)));
  cuda::for_each_pixel<Width>(
      dx.shape(), [=] __device__(std::int64_t n, std::int64_t, std::int64_t, std::int64_t c, std::int64_t at) {
        const auto gradient = Group<T, Width>::load(in + n * channels + c);
        auto sum = start<Width>(out + at, mode);
        for (int i = 0; i < Width; ++i) sum[i] += gradient[i] * share;
        sum.store(out + at);
      });
}

template <class T>
void global_avg_pool_backward_of(const Tensor& dy, Tensor& dx, Write mode) {
  const bool wide = cuda::fits_wide<T>(dx.dim(3), {dy.raw(), dx.raw()});
  (wide ? global_avg_pool_gradient<cuda::wide<T>, T> : global_avg_pool_gradient<1, T>)(dy, dx, mode);
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(max_pool_forward, max_pool_forward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(max_pool_backward, max_pool_backward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(avg_pool_forward, avg_pool_forward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(avg_pool_backward, avg_pool_backward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(global_avg_pool_forward, global_avg_pool_forward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(global_avg_pool_backward, global_avg_pool_backward_of);

}  // namespace actgrad::kernels
