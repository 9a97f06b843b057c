// The kernel's rows lie in memory as they meet x: for each winner, row ky of dw[o] gets dp times kernel_w·I
// neighbouring numbers of x. All rows of one output channel stay in registers while the channel's winners in an image
// are visited.
#include "kernels/conv2d_max_pool.h"

#include <algorithm>
#include <vector>

#include "kernels/conv2d_engines.h"
#include "kernels/dispatch.h"
#include "kernels/parallel.h"
#include "kernels/tile.h"
#include "kernels/work.h"

namespace actgrad::kernels {
namespace {

constexpr int max_kernel_rows = 7, row_packs = 2;  // at most 14 sums in registers

Shape pooled_shape(const Conv2dGeometry& g, const PoolGeometry& pool) {
  const std::int64_t height = pool.out(g.out_height()), width = pool.out(g.out_width());
  ACTGRAD_CHECK(height > 0 && width > 0, "image smaller than the window");
  return {g.batch, height, width, g.out_channels};
}

// Where things lie in one image: in its padded copy, and in dw with rows that are filled up to whole packs.
template <class T>
struct Layout {
  static constexpr std::int64_t width = lanes<Pack<T>, T>;

  Layout(const Conv2dGeometry& conv, const PoolGeometry& pool)
      : g(conv),
        windows_y(pool.out(g.out_height())),
        windows_x(pool.out(g.out_width())),
        x_row((g.width + 2 * g.padding) * g.in_channels),
        x_size((g.height + 2 * g.padding) * x_row + width),  // the last row's last pack reads beyond it
        kernel_packs((g.kernel_w * g.in_channels + width - 1) / width),
        dw_row(kernel_packs * width),
        dw_size(g.out_channels * g.kernel_h * dw_row) {
    for (std::int64_t k = 0; k < pool.size * pool.size; ++k)
      winner_offset.push_back((k / pool.size) * x_row + (k % pool.size) * g.in_channels);
    for (std::int64_t py = 0; py < windows_y; ++py)
      for (std::int64_t px = 0; px < windows_x; ++px)
        window_offset.push_back((py * pool.stride - pool.padding) * x_row +
                                (px * pool.stride - pool.padding) * g.in_channels);
  }

  const Conv2dGeometry& g;
  std::int64_t windows_y, windows_x;
  std::int64_t x_row, x_size;
  std::int64_t kernel_packs, dw_row, dw_size;
  std::vector<std::int64_t> window_offset, winner_offset;  // in x: of a window's corner, and from there to its element
};

// x with its zero padding, which `to` has from the beginning.
template <class T>
void copy_padded(const Layout<T>& layout, const T* x, T* to) {
  const Conv2dGeometry& g = layout.g;
  const std::int64_t row = g.width * g.in_channels;
  for (std::int64_t iy = 0; iy < g.height; ++iy)
    std::copy_n(x + iy * row, row, to + (iy + g.padding) * layout.x_row + g.padding * g.in_channels);
}

// Adds one image's part to `Packs` packs of all rows of dw[o]. x, dp, argmax and dw point to the first of each.
template <int Rows, int Packs, class T>
void add_winners(const Layout<T>& layout, const T* x, const T* dp, const std::uint8_t* argmax, T* dw) {
  using P = Pack<T>;
  const std::int64_t channels = layout.g.out_channels, x_row = layout.x_row;
  Tile<P, Rows, Packs> tile;
  tile.for_each([](P& sum, int, int) { sum = P{}; });
  for (const std::int64_t window : layout.window_offset) {
    const T* const patch = x + window + layout.winner_offset[*argmax];
    const T gradient = *dp;
    tile.for_each([&](P& sum, int ky, int j) { sum += load<P>(patch + ky * x_row + j * layout.width) * gradient; });
    argmax += channels;
    dp += channels;
  }
  tile.for_each([&](P& sum, int ky, int j) {
    T* const to = dw + ky * layout.dw_row + j * layout.width;
    store(to, load<P>(to) + sum);
  });
}

// Adds one image's part to dw.
template <class T>
void add_image(const Layout<T>& layout, const T* x, const T* dp, const std::uint8_t* argmax, T* dw) {
  for_each_block<row_packs>(layout.kernel_packs, [&]<int Packs>(std::int64_t first) {
    with_constant<max_kernel_rows>(layout.g.kernel_h, [&]<int Rows>() {
      for (std::int64_t o = 0; o < layout.g.out_channels; ++o)
        add_winners<Rows, Packs>(layout, x + first * layout.width, dp + o, argmax + o,
                                 dw + o * Rows * layout.dw_row + first * layout.width);
    });
  });
}

}  // namespace

void conv2d_max_pool_forward(const Conv2dGeometry& g, const PoolGeometry& pool, const Tensor& x, const Tensor& weight,
                             const Tensor& bias, Tensor& p, Tensor& argmax, ConvEngine engine) {
  ACTGRAD_CHECK(p.shape() == pooled_shape(g, pool) && (!argmax || argmax.shape() == p.shape()), p.shape().to_string());
  const double products = 2.0 * static_cast<double>(g.output_shape().numel() * g.patch_size());
  const WorkScope work("conv2d_max_pool_forward",
                       {.bytes = bytes_of(x, weight, bias, p, argmax), .flops = products, .product = true});
  const bool tiles = pool.stride == pool.size && pool.padding == 0 && pool.size <= 16;
  if (tiles && engine_for(g, x.dtype(), engine) == ConvEngine::direct) {
    direct_max_pool_forward(g, pool.size, x, weight, bias, p, argmax);
    return;
  }
  Tensor y = Tensor::empty(g.output_shape(), x.dtype());
  conv2d_forward(g, x, weight, bias, y, engine);
  max_pool_forward(y, pool, p, argmax);
}

bool max_pool_backward_weight_supports(const Conv2dGeometry& g, const PoolGeometry& pool) {
  return g.stride == 1 && g.dilation == 1 && g.groups == 1 && g.kernel_h <= max_kernel_rows && pool.stride >= 2;
}

void max_pool_backward_weight(const Conv2dGeometry& g, const PoolGeometry& pool, const Tensor& dp, const Tensor& argmax,
                              const Tensor& x, Tensor& dweight, Write mode) {
  ACTGRAD_CHECK(max_pool_backward_weight_supports(g, pool), "convolution and pooling");
  ACTGRAD_CHECK(dp.shape() == pooled_shape(g, pool) && argmax.shape() == dp.shape(), dp.shape().to_string());
  ACTGRAD_CHECK(x.shape() == g.input_shape() && dweight.shape() == g.weight_shape(), x.shape().to_string());
  const WorkScope work("max_pool_backward_weight", {.bytes = bytes_of(dp, argmax, x) + bytes_of(dweight, mode),
                                                    .flops = 2.0 * static_cast<double>(dp.numel() * g.patch_size()),
                                                    .product = true});
  visit_floating(x.dtype(), [&]<class T>() {
    const Layout<T> layout(g, pool);
    const std::int64_t image = g.height * g.width * g.in_channels, pooled = g.batch ? dp.numel() / g.batch : 0;
    const std::int64_t grain = 1 + (1 << 18) / (1 + pooled * g.patch_size());
    const std::int64_t parts = threads_for(g.batch, grain);
    const Tensor padded = Tensor::zeros({parts, layout.x_size}, x.dtype()),
                 sums = Tensor::zeros({parts, layout.dw_size}, x.dtype());
    parallel_for(g.batch, grain, [&](Range range, int thread) {
      T* const copy = padded.data<T>() + thread * layout.x_size;
      for (std::int64_t n = range.begin; n < range.end; ++n) {
        copy_padded(layout, x.data<T>() + n * image, copy);
        add_image(layout, copy, dp.data<T>() + n * pooled, argmax.data<std::uint8_t>() + n * pooled,
                  sums.data<T>() + thread * layout.dw_size);
      }
    });
    const std::int64_t row = g.kernel_w * g.in_channels;
    for (std::int64_t r = 0; r < g.out_channels * g.kernel_h; ++r)
      for (std::int64_t j = 0; j < row; ++j) {
        T& to = dweight.data<T>()[r * row + j];
        if (mode == Write::overwrite) to = 0;
        for (std::int64_t part = 0; part < parts; ++part)
          to += sums.data<T>()[part * layout.dw_size + r * layout.dw_row + j];
      }
  });
}

}  // namespace actgrad::kernels
