#include "kernels/second_moment.h"

#include "kernels/cuda/columns.cuh"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

// What is averaged.
struct Square {
  __device__ double operator()(double v) const { return v * v; }
};
struct Itself {
  __device__ double operator()(double v) const { return v; }
};

template <class Power, class T>
void moment_of(const Tensor& x, Tensor& result) {
  const std::int64_t columns = x.dim(-1), rows = columns ? x.numel() / columns : 0;
  T* const to = result.data<T>();
  cuda::sum_columns(x.data<T>(), rows, columns, Power{}, [=] __device__(std::int64_t j, double sum) {
    to[j] = static_cast<T>(sum / static_cast<double>(rows));
  });
}

// One block per kernel offset (blockIdx.y = ky·KW + kx) and tile of channels: the threads of a channel share the output
// positions of the window, which lies at (ky, kx)·dilation − padding in q (H, W, C).
template <class T>
__global__ void window_sums_kernel(Conv2dGeometry g, const double* q, double factor, T* result) {
  const std::int64_t c = cuda::first_element(), offset = blockIdx.y;
  const std::int64_t out_width = g.out_width(), positions = g.out_height() * out_width;
  const std::int64_t y0 = offset / g.kernel_w * g.dilation - g.padding;
  const std::int64_t x0 = offset % g.kernel_w * g.dilation - g.padding;
  double sum[1] = {};
  if (c < g.in_channels)
    for (std::int64_t p = threadIdx.y; p < positions; p += blockDim.y) {
      const std::int64_t y = p / out_width * g.stride + y0, x = p % out_width * g.stride + x0;
      if (y >= 0 && y < g.height && x >= 0 && x < g.width) sum[0] += q[(y * g.width + x) * g.in_channels + c];
    }
  cuda::sum_over_y(sum);
  if (threadIdx.y == 0 && c < g.in_channels) {
    const std::int64_t group = c / g.group_in(), i = c % g.group_in();
    result[group * g.patch_size() + offset * g.group_in() + i] = static_cast<T>(sum[0] * factor);
  }
}

template <class Power, class T>
void patch_moment_of(const Conv2dGeometry& g, const Tensor& x, Tensor& result) {
  if (result.numel() == 0) return;
  const Tensor image = Tensor::empty({g.height, g.width, g.in_channels}, DType::float64, x.device());
  double* const q = image.data<double>();
  cuda::sum_columns(x.data<T>(), g.batch, image.numel(), Power{},
                    [=] __device__(std::int64_t j, double sum) { q[j] = sum; });

  // As for columns: threadIdx.x is the channel, as many rows of threads as the block has room for.
  const cuda::ColumnTiles tiles(g.out_height() * g.out_width(), g.in_channels, 1);
  const dim3 grid(tiles.grid.x, static_cast<unsigned>(g.kernel_h * g.kernel_w));
  const double factor = 1.0 / static_cast<double>(g.batch * g.out_height() * g.out_width());
  cuda::launch(window_sums_kernel<T>, grid, tiles.block, 0, cuda::stream(), g, q, factor, result.data<T>());
}

template <class T>
void second_moment_of(const Tensor& x, Tensor& result) {
  moment_of<Square, T>(x, result);
}
template <class T>
void first_moment_of(const Tensor& x, Tensor& result) {
  moment_of<Itself, T>(x, result);
}
template <class T>
void patch_second_moment_of(const Conv2dGeometry& g, const Tensor& x, Tensor& result) {
  patch_moment_of<Square, T>(g, x, result);
}
template <class T>
void patch_first_moment_of(const Conv2dGeometry& g, const Tensor& x, Tensor& result) {
  patch_moment_of<Itself, T>(g, x, result);
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(second_moment, second_moment_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(first_moment, first_moment_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(patch_second_moment, patch_second_moment_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(patch_first_moment, patch_first_moment_of);

}  // namespace actgrad::kernels
