// The order of work, around the arithmetic of tile_kernels.h. A block of tiles goes through all of it while it lies in
// the second-level cache: windows transformed, multiplied position by position, products transformed to pixels. Nothing
// but the transformed weights is materialised. Channels are worked on in slices of at most 64, so that a slice of the
// weights fits that cache too; wider layers are sums over slices of input channels.
#include "kernels/winograd/convolution.h"

#include <algorithm>

#include "kernels/parallel.h"

namespace actgrad::kernels::winograd {
namespace {

// Tiles per block, about; 30 to 220 KiB of transformed windows. Few leave the second-level cache to the weights, if
// these are one slice (576 KiB at most). Many pay where each block means a walk through more than windows: through
// several slices of weights, which come from memory, or through all the products of a weight gradient.
constexpr std::int64_t few_tiles = 12, many_tiles = 24;

std::int64_t slice_width(std::int64_t channels) {
  for (const std::int64_t width : {64, 32})
    if (channels % width == 0) return width;
  return 16;
}

std::int64_t round_up(std::int64_t n, std::int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// Floats from one position of a block to the next: a cache line more than it holds (see tile_kernels.h).
std::int64_t stride_of(std::int64_t tiles, std::int64_t channels) {
  return tiles * channels + 16;
}

Images slice(const Tensor& images, std::int64_t first_channel) {
  return {images.data<float>() + first_channel, images.dim(1), images.dim(2), images.dim(3)};
}

// How the output pixels of a batch are cut into tiles, and those into blocks.
struct Plan {
  const TileKernels& kernels;
  Tiling tiling;
  std::int64_t positions, tiles, block, blocks;

  // `wanted`: tiles per block. `multiple`: of which number they are a multiple, given the kernels. `sharers`: threads
  // among which the tiles are divided.
  template <class Multiple>
  Plan(Choice choice, std::int64_t batch, std::int64_t height, std::int64_t width, std::int64_t padding,
       std::int64_t sharers, std::int64_t wanted, const Multiple& multiple)
      : kernels(choice(tile_size(height, width))) {
    const std::int64_t m = kernels.m;
    tiling = {(height + m - 1) / m, (width + m - 1) / m, padding};
    positions = (m + 2) * (m + 2);
    tiles = batch * tiling.rows * tiling.columns;
    const std::int64_t share = (tiles + sharers - 1) / sharers;  // of a thread
    block = round_up(share <= wanted * 3 / 2 ? share : wanted, multiple(kernels));
    blocks = (tiles + block - 1) / block;
  }

  Tiles at(std::int64_t number) const { return {number * block, std::min(block, tiles - number * block)}; }

  // The memory of the pixel rows that a block's windows (of `size` pixels, beginning `margin` before the tile) touch.
  // Nothing if the block is none, or works on a slice of the channels: then that memory is not in one piece.
  Span span(const Images& images, std::int64_t number, std::int64_t size, std::int64_t margin,
            std::int64_t channels) const {
    if (number >= blocks || channels != images.channels) return {};
    const auto row = [&](std::int64_t tile, std::int64_t offset) {
      const std::int64_t image = tile / (tiling.rows * tiling.columns), y = tile / tiling.columns % tiling.rows;
      return image * images.height + std::clamp<std::int64_t>(y * kernels.m + offset, 0, images.height);
    };
    const Tiles range = at(number);
    const std::int64_t begin = row(range.first, -margin), end = row(range.first + range.count - 1, size - margin);
    const std::int64_t line = images.width * channels;
    return {images.data + begin * line, (end - begin) * line};
  }
  Span windows(const Images& x, std::int64_t number, std::int64_t channels) const {
    return span(x, number, kernels.m + 2, tiling.padding, channels);
  }
  Span outputs(const Images& y, std::int64_t number, std::int64_t channels) const {
    return span(y, number, kernels.m, 0, channels);
  }
};

// Weights that join the channels [k, k + in) of x with [n, n + out) of y: data[tap·tap_step + k·k_step + n].
struct Taps {
  const float* data;
  std::int64_t tap_step, k_step;
};

// y = x ⋆ taps (stride 1, `padding` zeros around x). taps_of(k, n, in, out, buffer) gives the Taps of a slice, for
// which it may use a buffer of 9·in·out floats.
template <class TapsOf>
void correlate(const Tensor& x, std::int64_t padding, const TapsOf& taps_of, const Tensor& bias, Tensor& y, bool add,
               Choice choice) {
  const std::int64_t in = slice_width(x.dim(3)), out = slice_width(y.dim(3));
  const std::int64_t in_slices = x.dim(3) / in, out_slices = y.dim(3) / out;
  const Plan plan(choice, y.dim(0), y.dim(1), y.dim(2), padding, out_slices >= threads() ? 1 : threads(),
                  in_slices * out_slices == 1 ? few_tiles : many_tiles,
                  [&](const TileKernels& k) { return k.tiles_per_call(out); });
  const TileKernels& kernels = plan.kernels;

  // The transformed weights, slice by slice: for each slice of y all slices of x. Weights of wide layers on few tiles
  // are not worth storing: written to memory and read again they take longer than transformed anew for each block.
  const std::int64_t slices = in_slices * out_slices, u_size = plan.positions * in * out, taps_size = 9 * in * out;
  const bool store = slices == 1 || plan.blocks > 2;
  const auto transform = [&](std::int64_t slice, float* buffer, float* u) {
    const Taps taps = taps_of(slice % in_slices * in, slice / in_slices * out, in, out, buffer);
    kernels.taps(taps.data, taps.tap_step, taps.k_step, in, out, u);
  };
  const Tensor stored = Tensor::empty({store ? slices : 0, u_size}, DType::float32);

  const std::int64_t v_stride = stride_of(plan.block, in), m_stride = stride_of(plan.block, out);
  const bool in_place = in_slices == 1 && in == out && kernels.panel(out) == out;
  const std::int64_t v_size = plan.positions * v_stride, m_size = in_place ? 0 : plan.positions * m_stride;
  const Tensor scratch = Tensor::empty({threads(), v_size + m_size + taps_size + (store ? 0 : u_size)}, DType::float32);
  const auto scratch_of = [&](int thread) { return scratch.data<float>() + thread * scratch.dim(1); };

  if (store)
    parallel_for(slices, 1 + 32768 / u_size, [&](Range range, int thread) {
      for (std::int64_t s = range.begin; s < range.end; ++s)
        transform(s, scratch_of(thread) + v_size + m_size, stored.data<float>() + s * u_size);
    });
  parallel_for(out_slices * plan.blocks, 1, [&](Range range, int thread) {
    float* const v = scratch_of(thread);
    float* const m = in_place ? v : v + v_size;
    float* const buffer = v + v_size + m_size;
    for (std::int64_t item = range.begin; item < range.end; ++item) {
      const std::int64_t block = item % plan.blocks, out_slice = item / plan.blocks;
      const Tiles tiles = plan.at(block);
      const Images y_slice = slice(y, out_slice * out);
      const Ahead ahead{plan.windows(slice(x, 0), block + 1, in), plan.outputs(y_slice, block, out)};
      for (std::int64_t s = 0; s < in_slices; ++s) {
        const std::int64_t weights = out_slice * in_slices + s;
        float* const u = store ? stored.data<float>() + weights * u_size : buffer + taps_size;
        if (!store) transform(weights, buffer, u);
        kernels.input(slice(x, s * in), plan.tiling, tiles, in, v, v_stride);
        kernels.multiply(v, v_stride, u, tiles.count, in, out, m, m_stride, s > 0, ahead);
      }
      kernels.output(m, m_stride, plan.tiling, tiles, out, bias ? bias.data<float>() + out_slice * out : nullptr,
                     y_slice, add);
    }
  });
}

// to[tap][k][n] = from[n·n_step + tap·tap_step + k]: vectors are to run over output channels.
void transpose(const float* from, std::int64_t n_step, std::int64_t tap_step, std::int64_t in, std::int64_t out,
               float* to) {
  constexpr std::int64_t side = 16;  // of the squares that are transposed: a cache line
  for (std::int64_t tap = 0; tap < 9; ++tap)
    for (std::int64_t k0 = 0; k0 < in; k0 += side)
      for (std::int64_t n0 = 0; n0 < out; n0 += side)
        for (std::int64_t k = k0; k < k0 + side; ++k)
          for (std::int64_t n = n0; n < n0 + side; ++n)
            to[(tap * in + k) * out + n] = from[n * n_step + tap * tap_step + k];
}

}  // namespace

bool supports(const Conv2dGeometry& g) {
  return g.kernel_h == 3 && g.kernel_w == 3 && g.stride == 1 && g.dilation == 1 && g.groups == 1 && g.padding <= 2 &&
         g.in_channels % 16 == 0 && g.out_channels % 16 == 0;
}

bool pays(const Conv2dGeometry& g) {
  const std::int64_t m = tile_size(g.out_height(), g.out_width());
  const std::int64_t tiles = g.batch * ((g.out_height() + m - 1) / m) * ((g.out_width() + m - 1) / m);
  return supports(g) && tiles >= 8;  // measured
}

int tile_size(std::int64_t height, std::int64_t width) {
  const auto multiplications = [&](std::int64_t m) {
    return (height + m - 1) / m * ((width + m - 1) / m) * (m + 2) * (m + 2);
  };
  return multiplications(2) <= multiplications(4) ? 2 : 4;  // M = 2 is the more accurate one
}

void forward(const Conv2dGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y,
             Choice kernels) {
  const auto taps = [&](std::int64_t k, std::int64_t n, std::int64_t in, std::int64_t out, float* buffer) -> Taps {
    transpose(weight.data<float>() + n * g.patch_size() + k, g.patch_size(), g.in_channels, in, out, buffer);
    return {buffer, in * out, out};
  };
  correlate(x, g.padding, taps, bias, y, false, kernels);
}

// dx is a correlation of dy with the kernel rotated by half a turn: tap t is weight[·, 8 − t, ·].
void backward_data(const Conv2dGeometry& g, const Tensor& dy, const Tensor& weight, Tensor& dx, Write mode,
                   Choice kernels) {
  const float* const last_tap = weight.data<float>() + 8 * g.in_channels;
  const auto taps = [&](std::int64_t k, std::int64_t n, std::int64_t, std::int64_t, float*) -> Taps {
    return {last_tap + k * g.patch_size() + n, -g.in_channels, g.patch_size()};
  };
  correlate(dy, 2 - g.padding, taps, Tensor(), dx, mode == Write::accumulate, kernels);
}

// One pair of slices after the other, or several at once: sums over all tiles, in the first case each thread over a
// part of them, which the last transform adds up in order.
void backward_weight(const Conv2dGeometry& g, const Tensor& dy, const Tensor& x, Tensor& dweight, Write mode,
                     Choice choice) {
  const std::int64_t in = slice_width(g.in_channels), out = slice_width(g.out_channels);
  const std::int64_t in_slices = g.in_channels / in, pairs = in_slices * (g.out_channels / out);
  const Plan plan(choice, g.batch, g.out_height(), g.out_width(), g.padding, pairs >= threads() ? 1 : threads(),
                  many_tiles, [](const TileKernels&) { return std::int64_t{1}; });
  const TileKernels& kernels = plan.kernels;
  const std::int64_t z_stride = stride_of(plan.block, out), v_stride = stride_of(plan.block, in);
  const std::int64_t products = plan.positions * in * out;
  const bool add = mode == Write::accumulate;
  const Tensor scratch = Tensor::empty({threads(), plan.positions * (z_stride + v_stride) + products}, DType::float32);
  const auto products_of = [&](std::int64_t thread) { return scratch.data<float>() + thread * scratch.dim(1); };

  const auto sum_blocks = [&](std::int64_t pair, Range blocks, int thread) {
    float* const p = products_of(thread);
    float* const z = p + products;
    float* const v = z + plan.positions * z_stride;
    const Images dy_slice = slice(dy, pair / in_slices * out), x_slice = slice(x, pair % in_slices * in);
    for (std::int64_t block = blocks.begin; block < blocks.end; ++block) {
      const Tiles tiles = plan.at(block);
      kernels.output_gradient(dy_slice, plan.tiling, tiles, out, z, z_stride);
      kernels.input(x_slice, plan.tiling, tiles, in, v, v_stride);
      const Ahead ahead{plan.outputs(dy_slice, block + 1, out), plan.windows(x_slice, block + 1, in)};
      kernels.multiply_gradient(z, z_stride, v, v_stride, tiles.count, out, in, p, block > blocks.begin, ahead);
    }
  };
  const auto write_rows = [&](std::int64_t pair, Range rows, int thread, std::int64_t parts) {
    const std::int64_t o = pair / in_slices * out, i = pair % in_slices * in;
    float* const to = dweight.data<float>() + o * g.patch_size() + i;
    for (std::int64_t n = rows.begin; n < rows.end; ++n)
      kernels.taps_gradient(products_of(thread), parts, scratch.dim(1), out, in, n, to, g.patch_size(), g.in_channels,
                            add);
  };

  if (pairs >= threads()) {
    parallel_for(pairs, 1, [&](Range range, int thread) {
      for (std::int64_t pair = range.begin; pair < range.end; ++pair) {
        sum_blocks(pair, {0, plan.blocks}, thread);
        write_rows(pair, {0, out}, thread, 1);
      }
    });
    return;
  }
  const int parts = threads_for(plan.blocks, 1);
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    parallel_for(plan.blocks, 1, [&](Range blocks, int part) { sum_blocks(pair, blocks, part); });
    parallel_for(out, 8, [&](Range rows, int) { write_rows(pair, rows, 0, parts); });
  }
}

}  // namespace actgrad::kernels::winograd
