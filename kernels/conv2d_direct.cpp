// Direct convolution for images of few channels, where channels neither fill vector registers nor make long sums.
//
// Vector lanes are images (image_lanes.h): for a group of images, every number of x, y and dy is one pack, every weight
// a single number. With r = (kx, i) counting the packs of one kernel row, which lie one after the other in x,
//
//   y[oy, ox, o]      =  b[o] + Σ_{ky, r} x[oy + ky, ox·I + r] · w[o, ky, r]
//   dx[iy, ox·I + r] +=  Σ_{ky, o} dy[iy − ky, ox, o] · w[o, ky, r]
//   dw[o, ky, r]      =  Σ_{lanes} Σ_{oy, ox} dy[oy, ox, o] · x[oy + ky, ox·I + r]
//
// where x is padded, so that no sum meets a border. All three keep a tile of sums in registers: loads are what limits
// them otherwise.
#include <algorithm>

#include "kernels/conv2d_engines.h"
#include "kernels/image_lanes.h"
#include "kernels/maximum.h"
#include "kernels/parallel.h"
#include "kernels/tile.h"

namespace actgrad::kernels {
namespace {

// Sums that fit the registers beside their factors: AVX-512 has 32 registers, older machines 16.
constexpr int tile_sums = pack_bytes == 64 ? 24 : 12;
constexpr int tile_channels = pack_bytes == 64 ? 8 : 6, tile_pixels = 4;  // of y; together at most tile_sums
constexpr int tile_row = pack_bytes == 64 ? 16 : 12;                      // of dx
constexpr int tile_outputs = 6, tile_inputs = tile_sums / tile_outputs;   // of dw

// The sizes of the arrays of packs.
struct Sizes {
  explicit Sizes(const Conv2dGeometry& g)
      : kernel_row(g.kernel_w * g.in_channels),
        x_row((g.width + 2 * g.padding) * g.in_channels),
        x_group((g.height + 2 * g.padding) * x_row),
        y_row(g.out_width() * g.out_channels),
        y_group(g.out_height() * y_row),
        groups((g.batch + images_per_group - 1) / images_per_group) {}
  std::int64_t kernel_row, x_row, x_group, y_row, y_group;
  std::int64_t groups;
};

// Scratch for `count` packs of each thread.
class Scratch {
 public:
  explicit Scratch(std::int64_t count)
      : count_(count), numbers_(Tensor::empty({threads(), count * images_per_group}, DType::float32)) {}
  void fill_zero() { numbers_.fill_zero(); }
  ImageLanes* of_thread(int thread) const {
    return reinterpret_cast<ImageLanes*>(numbers_.data<float>()) + thread * count_;
  }

 private:
  std::int64_t count_;
  Tensor numbers_;
};

// Some images that lie one behind the other.
struct Group {
  Group(const Conv2dGeometry& g, std::int64_t index)
      : first(index * images_per_group), images(std::min(images_per_group, g.batch - first)) {}
  std::int64_t first, images;
};

// Calls body(group, thread) for every group of images.
template <class Body>
void for_each_group(const Conv2dGeometry& g, const Body& body) {
  const Sizes sizes(g);
  const std::int64_t products = sizes.y_group * g.patch_size();
  parallel_for(sizes.groups, 1 + (1 << 18) / products, [&](Range range, int thread) {
    for (std::int64_t index = range.begin; index < range.end; ++index) body(Group(g, index), thread);
  });
}

// Room for each thread's padded x of a group, the padding of which is zero.
Scratch padded_input(const Conv2dGeometry& g) {
  Scratch scratch(Sizes(g).x_group);
  if (g.padding > 0) scratch.fill_zero();
  return scratch;
}

// Fills padded_input() with x.
void gather_input(const Conv2dGeometry& g, const Tensor& x, const Group& group, ImageLanes* to) {
  const Sizes sizes(g);
  const std::int64_t row = g.width * g.in_channels, image = g.height * row;
  const float* const from = x.data<float>() + group.first * image;
  if (g.padding == 0) {
    gather_lanes(from, image, group.images, image, to);
    return;
  }
  for (std::int64_t iy = 0; iy < g.height; ++iy)
    gather_lanes(from + iy * row, image, group.images, row,
                 to + (iy + g.padding) * sizes.x_row + g.padding * g.in_channels);
}

void gather_output(const Conv2dGeometry& g, const Tensor& y, const Group& group, ImageLanes* to) {
  const std::int64_t image = Sizes(g).y_group;
  gather_lanes(y.data<float>() + group.first * image, image, group.images, image, to);
}

// sums[p][j] += Σ_{t < count} a[p·a_step + t] · w[t·w_step + j]
template <int Rows, int Columns>
[[gnu::always_inline]] inline void multiply_add(Tile<ImageLanes, Rows, Columns>& tile, const ImageLanes* a,
                                                std::int64_t a_step, const float* w, std::int64_t w_step,
                                                std::int64_t count) {
  for (std::int64_t t = 0; t < count; ++t, ++a, w += w_step)
    tile.for_each([&](ImageLanes& sum, int p, int j) { sum += a[p * a_step] * w[j]; });
}

// `Pixels` neighbours of one row of y, `Columns` of their channels. w: (KH, kernel row, O).
template <int Pixels, int Columns>
void forward_tile(const Conv2dGeometry& g, const Sizes& sizes, const ImageLanes* x, const float* w, const float* bias,
                  ImageLanes* y) {
  Tile<ImageLanes, Pixels, Columns> tile;
  tile.for_each([&](ImageLanes& sum, int, int j) { sum = ImageLanes{} + (bias ? bias[j] : 0); });
  for (std::int64_t ky = 0; ky < g.kernel_h; ++ky)
    multiply_add(tile, x + ky * sizes.x_row, g.in_channels, w + ky * sizes.kernel_row * g.out_channels, g.out_channels,
                 sizes.kernel_row);
  tile.for_each([&](ImageLanes& sum, int p, int j) { y[p * g.out_channels + j] = sum; });
}

// The weight as (KH, kernel row, O).
Tensor turn_weight(const Conv2dGeometry& g, const Tensor& weight) {
  const std::int64_t patch = g.patch_size();
  Tensor turned = Tensor::empty({patch, g.out_channels}, DType::float32);
  for (std::int64_t o = 0; o < g.out_channels; ++o)
    for (std::int64_t k = 0; k < patch; ++k)
      turned.data<float>()[k * g.out_channels + o] = weight.data<float>()[o * patch + k];
  return turned;
}

// One row of y. x: the packs under the kernel's top left corner.
void forward_row(const Conv2dGeometry& g, const Sizes& sizes, const ImageLanes* x, const Tensor& turned_weight,
                 const Tensor& bias_tensor, ImageLanes* y) {
  const float *const w = turned_weight.data<float>(), *const bias = bias_tensor ? bias_tensor.data<float>() : nullptr;
  for_each_block<tile_channels>(g.out_channels, [&]<int Columns>(std::int64_t o) {
    for_each_block<std::min(tile_sums / Columns, tile_pixels)>(g.out_width(), [&]<int Pixels>(std::int64_t ox) {
      forward_tile<Pixels, Columns>(g, sizes, x + ox * g.in_channels, w + o, bias ? bias + o : nullptr,
                                    y + ox * g.out_channels + o);
    });
  });
}

// The maxima of `windows` neighbouring windows of size × size pixels, and which of its pixels each was. y: size rows.
void pool_row(const Conv2dGeometry& g, const Sizes& sizes, std::int64_t size, std::int64_t windows, const ImageLanes* y,
              ImageLanes* values, ImageLanes* winners) {
  for (std::int64_t px = 0; px < windows; ++px)
    for (std::int64_t o = 0; o < g.out_channels; ++o) {
      Maximum<float, ImageLanes> best;
      for (std::int64_t k = 0; k < size * size; ++k)
        best.offer(y[k / size * sizes.y_row + (px * size + k % size) * g.out_channels + o], static_cast<int>(k));
      values[px * g.out_channels + o] = best.value;
      winners[px * g.out_channels + o] = __builtin_convertvector(best.winner, ImageLanes);
    }
}

// `Columns` packs of a row of dx, to which the rows of dy from `dy` on upwards contribute with the kernel's rows from w
// on downwards. w: (O, KH, kernel row).
template <int Columns>
void backward_data_tile(const Conv2dGeometry& g, const Sizes& sizes, const ImageLanes* dy, const float* w,
                        std::int64_t rows, ImageLanes* dx) {
  Tile<ImageLanes, 1, Columns> tile;
  tile.for_each([&](ImageLanes& sum, int, int j) { sum = dx[j]; });
  for (std::int64_t k = 0; k < rows; ++k)
    multiply_add(tile, dy - k * sizes.y_row, 0, w + k * sizes.kernel_row, g.patch_size(), g.out_channels);
  tile.for_each([&](ImageLanes& sum, int, int j) { dx[j] = sum; });
}

// Adds to row iy of the padded dx. dy: the whole group.
void backward_data_row(const Conv2dGeometry& g, const Sizes& sizes, const ImageLanes* dy, const float* w,
                       std::int64_t iy, ImageLanes* dx) {
  const std::int64_t first = std::max<std::int64_t>(0, iy - g.out_height() + 1);  // ky for which dy has a row iy − ky
  const std::int64_t rows = std::min(g.kernel_h, iy + 1) - first;
  for (std::int64_t ox = 0; ox < g.out_width(); ++ox)
    for_each_block<tile_row>(sizes.kernel_row, [&]<int Columns>(std::int64_t r) {
      backward_data_tile<Columns>(g, sizes, dy + (iy - first) * sizes.y_row + ox * g.out_channels,
                                  w + first * sizes.kernel_row + r, rows, dx + ox * g.in_channels + r);
    });
}

// Loads a factor of several products into a register; GCC would load it again for each of them.
inline ImageLanes load_once(const ImageLanes* from) {
  return *static_cast<const volatile ImageLanes*>(from);
}

// sums[r][c] += a[r] · b[c]
template <int Rows, int Columns>
[[gnu::always_inline]] inline void add_products(Tile<ImageLanes, Rows, Columns>& tile, const ImageLanes* a,
                                                const ImageLanes* b) {
#pragma GCC unroll 16
  for (int row = 0; row < Rows; ++row) {
    const ImageLanes factor = load_once(a + row);
#pragma GCC unroll 16
    for (int column = 0; column < Columns; ++column) tile.sums[row][column] += factor * b[column];
  }
}

// dw[i][o] += Σ x[.., i] · dy[.., o] over `rows` rows of dy. dw: (patch, O).
template <int Inputs, int Outputs>
void backward_weight_tile(const Conv2dGeometry& g, const Sizes& sizes, const ImageLanes* x, const ImageLanes* dy,
                          std::int64_t rows, ImageLanes* dw) {
  Tile<ImageLanes, Outputs, Inputs> tile;
  tile.for_each([&](ImageLanes& sum, int o, int i) { sum = dw[i * g.out_channels + o]; });
  for (std::int64_t row = 0; row < rows; ++row, x += sizes.x_row, dy += sizes.y_row)
    for (std::int64_t ox = 0; ox < g.out_width(); ++ox)
      add_products(tile, dy + ox * g.out_channels, x + ox * g.in_channels);
  tile.for_each([&](ImageLanes& sum, int o, int i) { dw[i * g.out_channels + o] = sum; });
}

// Adds a group's part to dw, some rows of dy at a time: few enough to stay in the first cache for all tiles.
void backward_weight_group(const Conv2dGeometry& g, const Sizes& sizes, const ImageLanes* x, const ImageLanes* dy,
                           ImageLanes* dw) {
  const std::int64_t height = g.out_height(), bands = (height * g.out_width() + 63) / 64;
  for (std::int64_t band = 0; band < bands; ++band) {
    const std::int64_t top = height * band / bands, bottom = height * (band + 1) / bands;
    for_each_block<tile_outputs>(g.out_channels, [&]<int Outputs>(std::int64_t o) {
      for (std::int64_t ky = 0; ky < g.kernel_h; ++ky)
        for_each_block<tile_inputs>(sizes.kernel_row, [&]<int Inputs>(std::int64_t r) {
          backward_weight_tile<Inputs, Outputs>(g, sizes, x + (top + ky) * sizes.x_row + r, dy + top * sizes.y_row + o,
                                                bottom - top, dw + (ky * sizes.kernel_row + r) * g.out_channels + o);
        });
    });
  }
}

}  // namespace

bool direct_supports(const Conv2dGeometry& g) {
  return g.stride == 1 && g.dilation == 1 && g.groups == 1;
}

bool direct_pays(const Conv2dGeometry& g) {
  const Sizes sizes(g);
  const std::int64_t area = g.kernel_h * g.kernel_w, packs = sizes.x_group + sizes.y_group;
  const bool fills_channels = g.out_channels % 16 == 0 && (g.in_channels % 16 == 0 || area < 25);
  const bool fits_cache = packs * static_cast<std::int64_t>(pack_bytes) <= 2 << 20;
  return direct_supports(g) && !fills_channels && area >= 9 && g.batch >= 8 && g.in_channels <= 32 &&
         g.out_channels <= 64 && fits_cache;
}

void direct_forward(const Conv2dGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y) {
  const Sizes sizes(g);
  const Tensor turned = turn_weight(g, weight);
  const Scratch inputs = padded_input(g), rows(sizes.y_row);
  for_each_group(g, [&](const Group& group, int thread) {
    ImageLanes *const in = inputs.of_thread(thread), *const row = rows.of_thread(thread);
    gather_input(g, x, group, in);
    float* const out = y.data<float>() + group.first * sizes.y_group;
    for (std::int64_t oy = 0; oy < g.out_height(); ++oy) {
      forward_row(g, sizes, in + oy * sizes.x_row, turned, bias, row);
      scatter_lanes(row, sizes.y_row, group.images, out + oy * sizes.y_row, sizes.y_group);
    }
  });
}

void direct_max_pool_forward(const Conv2dGeometry& g, std::int64_t size, const Tensor& x, const Tensor& weight,
                             const Tensor& bias, Tensor& pooled, Tensor& argmax) {
  const Sizes sizes(g);
  const Tensor turned = turn_weight(g, weight);
  const std::int64_t row_size = pooled.dim(2) * g.out_channels, image = pooled.dim(1) * row_size;
  const Scratch inputs = padded_input(g), rows(size * sizes.y_row), results(3 * row_size);
  for_each_group(g, [&](const Group& group, int thread) {
    ImageLanes *const in = inputs.of_thread(thread), *const row = rows.of_thread(thread);
    ImageLanes *const values = results.of_thread(thread), *const winners = values + row_size;
    float* const winners_by_image = reinterpret_cast<float*>(winners + row_size);
    gather_input(g, x, group, in);
    for (std::int64_t py = 0; py < pooled.dim(1); ++py) {
      for (std::int64_t ky = 0; ky < size; ++ky)
        forward_row(g, sizes, in + (py * size + ky) * sizes.x_row, turned, bias, row + ky * sizes.y_row);
      pool_row(g, sizes, size, pooled.dim(2), row, values, winners);
      const std::int64_t first = group.first * image + py * row_size;
      scatter_lanes(values, row_size, group.images, pooled.data<float>() + first, image);
      if (!argmax) continue;
      scatter_lanes(winners, row_size, group.images, winners_by_image, row_size);
      for (std::int64_t i = 0; i < group.images; ++i)
        std::copy_n(winners_by_image + i * row_size, row_size, argmax.data<std::uint8_t>() + first + i * image);
    }
  });
}

void direct_backward_data(const Conv2dGeometry& g, const Tensor& dy, const Tensor& weight, Tensor& dx, Write mode) {
  const Sizes sizes(g);
  const std::int64_t row_size = g.width * g.in_channels, image = g.height * row_size;
  const Scratch outputs(sizes.y_group), rows(sizes.x_row);
  for_each_group(g, [&](const Group& group, int thread) {
    ImageLanes *const out = outputs.of_thread(thread), *const padded_row = rows.of_thread(thread);
    ImageLanes* const row = padded_row + g.padding * g.in_channels;
    gather_output(g, dy, group, out);
    for (std::int64_t iy = 0; iy < g.height; ++iy) {
      float* const in = dx.data<float>() + group.first * image + iy * row_size;
      if (mode == Write::accumulate)
        gather_lanes(in, image, group.images, row_size, row);
      else
        std::fill_n(row, row_size, ImageLanes{});
      backward_data_row(g, sizes, out, weight.data<float>(), iy + g.padding, padded_row);
      scatter_lanes(row, row_size, group.images, in, image);
    }
  });
}

void direct_backward_weight(const Conv2dGeometry& g, const Tensor& dy, const Tensor& x, Tensor& dweight, Write mode) {
  const Sizes sizes(g);
  const std::int64_t patch = g.patch_size();
  const Scratch inputs = padded_input(g), outputs(sizes.y_group);
  Scratch parts(patch * g.out_channels);
  parts.fill_zero();
  for_each_group(g, [&](const Group& group, int thread) {
    ImageLanes *const in = inputs.of_thread(thread), *const out = outputs.of_thread(thread);
    gather_input(g, x, group, in);
    gather_output(g, dy, group, out);
    backward_weight_group(g, sizes, in, out, parts.of_thread(thread));
  });
  float* const dw = dweight.data<float>();
  for (std::int64_t o = 0; o < g.out_channels; ++o)
    for (std::int64_t k = 0; k < patch; ++k) {
      float sum = mode == Write::accumulate ? dw[o * patch + k] : 0;
      for (int thread = 0; thread < threads(); ++thread)
        sum += sum_of_lanes(parts.of_thread(thread)[k * g.out_channels + o]);
      dw[o * patch + k] = sum;
    }
}

}  // namespace actgrad::kernels
