#include "kernels/reshape.h"

#include "kernels/cuda/images.cuh"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

using cuda::Group;

constexpr int tile = 32, tile_rows = 8;  // a block of 32 x 8 threads moves 32 x 32 elements

// to[b, c, r] = from[b, r, c] for matrices (rows, columns). Through shared memory, so that reads and writes both follow
// the rows; its rows are one longer, so that a column's elements lie in different banks.
template <class T>
__global__ void transpose_kernel(std::int64_t batch, std::int64_t rows, std::int64_t columns, const T* from, T* to,
                                 bool accumulate) {
  __shared__ T block[tile][tile + 1];
  const std::int64_t down = (rows + tile - 1) / tile, across = (columns + tile - 1) / tile;
  for (std::int64_t t = blockIdx.x; t < batch * down * across; t += gridDim.x) {
    const std::int64_t matrix = t / (down * across) * rows * columns;
    const std::int64_t r0 = t / across % down * tile, c0 = t % across * tile;
    for (int i = static_cast<int>(threadIdx.y); i < tile; i += tile_rows) {
      const std::int64_t r = r0 + i, c = c0 + threadIdx.x;
      if (r < rows && c < columns) block[i][threadIdx.x] = from[matrix + r * columns + c];
    }
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.y); i < tile; i += tile_rows) {
      const std::int64_t c = c0 + i, r = r0 + threadIdx.x;
      if (r >= rows || c >= columns) continue;
      const T value = block[threadIdx.x][i];
      T& target = to[matrix + c * rows + r];
      target = accumulate ? static_cast<T>(target + value) : value;
    }
    __syncthreads();  // before the next tile is loaded
  }
}

template <class T>
void transpose(std::int64_t batch, std::int64_t rows, std::int64_t columns, const void* from, void* to,
               bool accumulate = false) {
  const std::int64_t tiles = batch * ((rows + tile - 1) / tile) * ((columns + tile - 1) / tile);
  if (tiles == 0) return;
  cuda::launch(transpose_kernel<T>, cuda::blocks_for(tiles, 1), dim3(tile, tile_rows), 0, cuda::stream(), batch, rows,
               columns, static_cast<const T*>(from), static_cast<T*>(to), accumulate);
}

template <class T>
void flatten_forward_of(const Tensor& x, Tensor& y) {
  transpose<T>(x.dim(0), x.dim(1) * x.dim(2), x.dim(3), x.data<T>(), y.data<T>());
}

template <class T>
void flatten_backward_of(const Tensor& dy, Tensor& dx, Write mode) {
  transpose<T>(dx.dim(0), dx.dim(3), dx.dim(1) * dx.dim(2), dy.data<T>(), dx.data<T>(), mode == Write::accumulate);
}

// Images x (N, H, W, C) and y (N, ⌈H/2⌉, ⌈W/2⌉, C'): where pixel (n, 2·oy, 2·ox) of x begins, and pixel (n, oy, ox) of
// y.
struct Subsampling {
  std::int64_t height, width, channels, out_height, out_width, out_channels;
  Subsampling(const Tensor& x, const Tensor& y)
      : height(x.dim(1)),
        width(x.dim(2)),
        channels(x.dim(3)),
        out_height(y.dim(1)),
        out_width(y.dim(2)),
        out_channels(y.dim(3)) {}
  __device__ std::int64_t in_pixel(std::int64_t n, std::int64_t oy, std::int64_t ox) const {
    return ((n * height + 2 * oy) * width + 2 * ox) * channels;
  }
  __device__ std::int64_t out_pixel(std::int64_t n, std::int64_t oy, std::int64_t ox) const {
    return ((n * out_height + oy) * out_width + ox) * out_channels;
  }
};

template <int Width, class T>
void subsample_pad(const Tensor& x, std::int64_t before, Tensor& y) {
  const Subsampling s(x, y);
  const T* const in = x.data<T>();
  T* const out = y.data<T>();
  cuda::for_each_pixel<Width>(
      y.shape(), [=] __device__(std::int64_t n, std::int64_t oy, std::int64_t ox, std::int64_t c, std::int64_t at) {
        Group<T, Width> value = {};
        if (c >= before && c < before + s.channels)
          value = Group<T, Width>::load(in + s.in_pixel(n, oy, ox) + c - before);
        value.store(out + at);
      });
}

template <int Width, class T>
void subsample_pad_gradient(const Tensor& dy, std::int64_t before, Tensor& dx, Write mode) {
  const Subsampling s(dx, dy);
  const T* const in = dy.data<T>();
  T* const out = dx.data<T>();
  cuda::for_each_pixel<Width>(
      dx.shape(), [=] __device__(std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c, std::int64_t at) {
        const bool seen = y % 2 == 0 && x % 2 == 0;
        if (!seen && mode == Write::accumulate) return;
        Group<T, Width> value = {};
        if (mode == Write::accumulate) value = Group<T, Width>::load(out + at);
        if (seen) {
          const auto gradient = Group<T, Width>::load(in + s.out_pixel(n, y / 2, x / 2) + before + c);
          for (int i = 0; i < Width; ++i) value[i] += gradient[i];
        }
        value.store(out + at);
      });
}

// Whether pixels of both sizes, and the channels in front, consist of whole groups.
template <class T>
bool subsampling_fits_wide(const Tensor& x, std::int64_t before, const Tensor& y) {
  return cuda::fits_wide<T>(x.dim(3), {x.raw(), y.raw()}) && cuda::fits_wide<T>(y.dim(3), {}) &&
         cuda::fits_wide<T>(before, {});
}

template <class T>
void subsample_pad_forward_of(const Tensor& x, std::int64_t before, Tensor& y) {
  (subsampling_fits_wide<T>(x, before, y) ? subsample_pad<cuda::wide<T>, T> : subsample_pad<1, T>)(x, before, y);
}

template <class T>
void subsample_pad_backward_of(const Tensor& dy, std::int64_t before, Tensor& dx, Write mode) {
  (subsampling_fits_wide<T>(dx, before, dy) ? subsample_pad_gradient<cuda::wide<T>, T>
                                            : subsample_pad_gradient<1, T>)(dy, before, dx, mode);
}

// (O, first, second) → (O, second, first), elements of any dtype.
Tensor swap_inner(const Tensor& x, std::int64_t first, std::int64_t second, const Shape& result) {
  Tensor y = Tensor::empty(result, x.dtype(), x.device());
  switch (size_of(x.dtype())) {
    case 1: transpose<std::uint8_t>(x.dim(0), first, second, x.raw(), y.raw()); break;
    case 2: transpose<std::uint16_t>(x.dim(0), first, second, x.raw(), y.raw()); break;
    case 4: transpose<std::uint32_t>(x.dim(0), first, second, x.raw(), y.raw()); break;
    case 8: transpose<std::uint64_t>(x.dim(0), first, second, x.raw(), y.raw()); break;
    default: ACTGRAD_CHECK(false, "element size");
  }
  return y;
}

Tensor to_oihw(const Tensor& weight) {
  const std::int64_t o = weight.dim(0), h = weight.dim(1), w = weight.dim(2), i = weight.dim(3);
  return swap_inner(weight, h * w, i, {o, i, h, w});
}

Tensor to_ohwi(const Tensor& weight) {
  const std::int64_t o = weight.dim(0), i = weight.dim(1), h = weight.dim(2), w = weight.dim(3);
  return swap_inner(weight, i, h * w, {o, h, w, i});
}

// out[r, c] = or += in[r, c] for matrices (rows, columns) whose rows lie `in_row` and `out_row` elements apart.
template <int Width, class T>
__global__ void copy_rows_kernel(std::int64_t rows, std::int64_t columns, const T* in, std::int64_t in_row, T* out,
                                 std::int64_t out_row, bool accumulate) {
  const std::int64_t groups = columns / Width;
  for (std::int64_t i = cuda::first_element(); i < rows * groups; i += cuda::element_step()) {
    const std::int64_t r = i / groups, c = i % groups * Width;
    auto value = Group<T, Width>::load(in + r * in_row + c);
    T* const to = out + r * out_row + c;
    if (accumulate) {
      const auto before = Group<T, Width>::load(to);
      for (int k = 0; k < Width; ++k) value[k] += before[k];
    }
    value.store(to);
  }
}

template <class T>
void copy_rows(std::int64_t rows, std::int64_t columns, const T* in, std::int64_t in_row, T* out, std::int64_t out_row,
               bool accumulate) {
  if (rows * columns == 0) return;
  const bool wide =
      cuda::fits_wide<T>(columns, {in, out}) && cuda::fits_wide<T>(in_row, {}) && cuda::fits_wide<T>(out_row, {});
  cuda::launch(wide ? copy_rows_kernel<cuda::wide<T>, T> : copy_rows_kernel<1, T>,
               cuda::blocks_for(rows * columns / (wide ? cuda::wide<T> : 1)), cuda::block_size, 0, cuda::stream(), rows,
               columns, in, in_row, out, out_row, accumulate);
}

template <class T>
void concat_channels_of(const Tensor& a, const Tensor& b, Tensor& y) {
  const std::int64_t first = a.dim(-1), second = b.dim(-1), all = y.dim(-1), rows = all ? y.numel() / all : 0;
  copy_rows(rows, first, a.data<T>(), first, y.data<T>(), all, false);
  copy_rows(rows, second, b.data<T>(), second, y.data<T>() + first, all, false);
}

template <class T>
void slice_channels_of(const Tensor& x, std::int64_t first, Tensor& y, Write mode) {
  const std::int64_t all = x.dim(-1), part = y.dim(-1), rows = all ? x.numel() / all : 0;
  copy_rows(rows, part, x.data<T>() + first, all, y.data<T>(), part, mode == Write::accumulate);
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(flatten_forward, flatten_forward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(flatten_backward, flatten_backward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(subsample_pad_forward, subsample_pad_forward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(subsample_pad_backward, subsample_pad_backward_of);
ACTGRAD_CUDA_KERNEL(ohwi_to_oihw, to_oihw);
ACTGRAD_CUDA_KERNEL(oihw_to_ohwi, to_ohwi);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(concat_channels, concat_channels_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(slice_channels, slice_channels_of);

}  // namespace actgrad::kernels
