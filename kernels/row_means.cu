#include "kernels/row_means.h"

#include "kernels/cuda/columns.cuh"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

template <class T>
void mean_of_rows_of(const Tensor& x, Tensor& result) {
  const std::int64_t columns = x.dim(-1), rows = columns ? x.numel() / columns : 0;
  T* const to = result.data<T>();
  cuda::sum_columns(
      x.data<T>(), rows, columns, [] __device__(double v) { return v; },
      [=] __device__(std::int64_t j, double sum) { to[j] = static_cast<T>(sum / static_cast<double>(rows)); });
}

// One block per sample (blockIdx.z, and every gridDim.z-th after it), kernel offset (blockIdx.y = ky·KW + kx) and tile
// of channels: the threads of a channel share the output positions. n: columns of a group in the result.
template <class T>
__global__ void patch_means_kernel(Conv2dGeometry g, const T* x, bool ones, T* result) {
  const std::int64_t c = cuda::first_element(), offset = blockIdx.y;
  const std::int64_t out_width = g.out_width(), positions = g.out_height() * out_width;
  const std::int64_t y0 = offset / g.kernel_w * g.dilation - g.padding;
  const std::int64_t x0 = offset % g.kernel_w * g.dilation - g.padding;
  const std::int64_t n = g.patch_size() + (ones ? 1 : 0);
  for (std::int64_t sample = blockIdx.z; sample < g.batch; sample += gridDim.z) {
    const T* const image = x + sample * g.height * g.width * g.in_channels;
    double sum[1] = {};
    if (c < g.in_channels)
      for (std::int64_t p = threadIdx.y; p < positions; p += blockDim.y) {
        const std::int64_t iy = p / out_width * g.stride + y0, ix = p % out_width * g.stride + x0;
        if (iy >= 0 && iy < g.height && ix >= 0 && ix < g.width)
          sum[0] += static_cast<double>(image[(iy * g.width + ix) * g.in_channels + c]);
      }
    cuda::sum_over_y(sum);
    if (threadIdx.y > 0 || c >= g.in_channels) continue;
    T* const of_group = result + (sample * g.groups + c / g.group_in()) * n;
    of_group[offset * g.group_in() + c % g.group_in()] = static_cast<T>(sum[0] / static_cast<double>(positions));
    if (ones && offset == 0 && c % g.group_in() == 0) of_group[n - 1] = T(1);
  }
}

template <class T>
void patch_means_of(const Conv2dGeometry& g, const Tensor& x, bool ones, Tensor& result) {
  if (result.numel() == 0) return;
  constexpr std::int64_t most_samples = 65535;  // what gridDim.z may be
  const cuda::ColumnTiles tiles(g.out_height() * g.out_width(), g.in_channels, 1);
  const dim3 grid(tiles.grid.x, static_cast<unsigned>(g.kernel_h * g.kernel_w),
                  static_cast<unsigned>(std::min(g.batch, most_samples)));
  cuda::launch(patch_means_kernel<T>, grid, tiles.block, 0, cuda::stream(), g, x.data<T>(), ones, result.data<T>());
}

// A 1×1 kernel sees each position once.
template <class T>
void position_means_of(const Tensor& x, bool ones, Tensor& result) {
  const std::int64_t samples = x.dim(0), d = x.dim(-1), positions = x.numel() ? x.numel() / (samples * d) : 0;
  patch_means_of<T>({samples, 1, positions, d, d, 1, 1}, x, ones, result);
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(mean_of_rows, mean_of_rows_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(position_means, position_means_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(patch_means, patch_means_of);

}  // namespace actgrad::kernels
