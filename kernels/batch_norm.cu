// Every pass is bound by memory. Training: the moments of row ranges, one small kernel that joins them, one pass that
// normalises. Backwards: the two sums of row ranges, one small kernel that adds them up, one pass that writes dx.
// A thread keeps the numbers of its columns (ColumnTiles) in registers.
#include "kernels/batch_norm.h"

#include <cmath>

#include "kernels/batch_norm_mask.h"
#include "kernels/cuda/columns.cuh"
#include "kernels/formulas.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

using cuda::ColumnTiles;
using cuda::Group;
using cuda::partial_index;

std::int64_t rows_of(const Tensor& x) {
  return x.numel() / x.dim(-1);
}

template <class T>
T* data_or_null(const Tensor& x) {
  return x ? x.data<T>() : nullptr;
}

// Whether rows of x and of all the others that are defined can be read 16 bytes at a time.
template <class T>
bool fits_wide(const Tensor& x, std::initializer_list<Tensor> others) {
  bool fits = cuda::fits_wide<T>(x.dim(-1), {x.raw()});
  for (const Tensor& other : others) fits = fits && (!other || cuda::fits_wide<T>(x.dim(-1), {other.raw()}));
  return fits;
}

// ---- Statistics of the batch ----

// Mean and Σ(x − mean)² of each column in each row range, relative to the range's first row: partial (ranges, 2, C).
template <int Width, class T>
__global__ void moments_kernel(ColumnTiles tiles, const T* x, double* partial) {
  const std::int64_t c = tiles.column(), first = tiles.begin(blockIdx.y);
  const bool inside = c < tiles.columns;
  const auto origin = inside ? Group<T, Width>::load(x + first * tiles.columns + c) : Group<T, Width>{};
  T sums[Width] = {}, squares[Width] = {};
  tiles.for_each_row([&](std::int64_t at) {
    const auto values = Group<T, Width>::load(x + at);
    for (int i = 0; i < Width; ++i) {
      const T d = values[i] - origin[i];
      sums[i] += d;
      squares[i] += d * d;
    }
  });
  double totals[2 * Width];
  for (int i = 0; i < Width; ++i) totals[i] = sums[i], totals[Width + i] = squares[i];
  cuda::sum_over_y(totals);
  if (threadIdx.y != 0 || !inside) return;
  const double count = static_cast<double>(tiles.end(blockIdx.y) - first);
  for (int i = 0; i < Width; ++i) {
    const auto moments = formulas::moments_around(static_cast<double>(origin[i]), count, totals[i], totals[Width + i]);
    partial[partial_index<2>(tiles.columns, blockIdx.y, 0, c + i)] = moments.mean;
    partial[partial_index<2>(tiles.columns, blockIdx.y, 1, c + i)] = moments.squares;
  }
}

template <class T>
struct Statistics {
  T *mean, *inverse_std, *running_mean, *running_variance;
};

// Joins the moments of the row ranges: Σ(x − μ)² = Σ_range (squares + count · (mean − μ)²), so nothing cancels.
// threadIdx.y strides over the ranges.
template <class T>
__global__ void statistics_kernel(ColumnTiles tiles, const double* partial, double eps, double momentum,
                                  Statistics<T> result) {
  const std::int64_t c = cuda::first_element();
  const bool inside = c < tiles.columns;
  const auto for_each_range = [&](const auto& f) {
    if (!inside) return;
    for (unsigned range = threadIdx.y; range < tiles.grid.y; range += blockDim.y)
      f(static_cast<double>(tiles.end(range) - tiles.begin(range)),
        partial[partial_index<2>(tiles.columns, range, 0, c)], partial[partial_index<2>(tiles.columns, range, 1, c)]);
  };
  const double rows = static_cast<double>(tiles.rows);

  double sum[1] = {};
  for_each_range([&](double count, double mean, double) { sum[0] += count * mean; });
  cuda::sum_over_y(sum);
  const double mean = sum[0] / rows;

  double squares[1] = {};
  for_each_range([&](double count, double range_mean, double range_squares) {
    squares[0] += range_squares + count * (range_mean - mean) * (range_mean - mean);
  });
  cuda::sum_over_y(squares);

  if (threadIdx.y != 0 || !inside) return;
  using std::sqrt;
  result.mean[c] = T(mean);
  result.inverse_std[c] = T(1 / sqrt(squares[0] / rows + eps));
  result.running_mean[c] = formulas::running_average(result.running_mean[c], mean, momentum);
  result.running_variance[c] = formulas::running_average(result.running_variance[c], squares[0] / (rows - 1), momentum);
}

// ---- Normalisation ----

// What normalisation needs, (C) each.
template <class T>
struct Channels {
  const T *mean, *inverse_std, *scale, *shift;
};

// Of a thread's own columns. Both passes round factor alike, so that the mask of the ReLU is the same.
template <int Width, class T>
struct Affine {
  T mean[Width], factor[Width], shift[Width];

  __device__ Affine(const Channels<T>& of, const ColumnTiles& tiles) {
    const std::int64_t c = tiles.column();
    for (int i = 0; i < Width && c < tiles.columns; ++i) {
      mean[i] = of.mean[c + i];
      factor[i] = of.scale[c + i] * of.inverse_std[c + i];
      shift[i] = of.shift ? of.shift[c + i] : T(0);
    }
  }
  __device__ T normalised(int i, T x) const { return formulas::batch_norm(x, mean[i], factor[i], shift[i]); }
};

template <int Width, bool Residual, class T>
__global__ void normalise_kernel(ColumnTiles tiles, const T* x, const T* residual, Channels<T> channels, bool relu,
                                 T* y) {
  const Affine<Width, T> affine(channels, tiles);
  tiles.for_each_row([&](std::int64_t at) {
    auto values = Group<T, Width>::load(x + at);
    Group<T, Width> added;
    if constexpr (Residual) added = Group<T, Width>::load(residual + at);
    for (int i = 0; i < Width; ++i) {
      T value = affine.normalised(i, values[i]);
      if constexpr (Residual) value += added[i];
      values[i] = relu && value < T(0) ? T(0) : value;  // NaN stays NaN
    }
    values.store(y + at);
  });
}

template <int Width, class T>
void normalise(const Tensor& x, const Tensor& residual, const Channels<T>& channels, bool relu, Tensor& y) {
  const ColumnTiles tiles(rows_of(x), x.dim(-1), Width);
  cuda::launch(residual ? normalise_kernel<Width, true, T> : normalise_kernel<Width, false, T>, tiles.grid, tiles.block,
               0, cuda::stream(), tiles, x.data<T>(), data_or_null<T>(residual), channels, relu, y.data<T>());
}

template <int Width, class T>
void forward_training(const Tensor& x, const Tensor& residual, const Channels<T>& channels,
                      const Statistics<T>& statistics, const BatchNormOptions& options, Tensor& y) {
  const ColumnTiles tiles(rows_of(x), x.dim(-1), Width);
  const Tensor partial = cuda::partial_sums(tiles, 2);
  cuda::launch(moments_kernel<Width, T>, tiles.grid, tiles.block, 0, cuda::stream(), tiles, x.data<T>(),
               partial.data<double>());
  const cuda::TotalsShape shape(tiles.columns, tiles.row_ranges());
  cuda::launch(statistics_kernel<T>, shape.grid, shape.block, 0, cuda::stream(), tiles, partial.data<double>(),
               options.eps, options.momentum, statistics);
  normalise<Width>(x, residual, channels, options.relu, y);
}

template <class T>
void forward_training_of(const Tensor& x, const Tensor& residual, const Tensor& scale, const Tensor& shift,
                         Tensor& running_mean, Tensor& running_variance, const BatchNormOptions& options, Tensor& y,
                         Tensor& mean, Tensor& inverse_std) {
  const Channels<T> channels{mean.data<T>(), inverse_std.data<T>(), scale.data<T>(), shift.data<T>()};
  const Statistics<T> statistics{mean.data<T>(), inverse_std.data<T>(), running_mean.data<T>(),
                                 running_variance.data<T>()};
  (fits_wide<T>(x, {residual, y}) ? forward_training<cuda::wide<T>, T>
                                  : forward_training<1, T>)(x, residual, channels, statistics, options, y);
}

template <class T>
__global__ void inverse_std_kernel(std::int64_t channels, const T* variance, double eps, T* inverse_std) {
  using std::sqrt;
  for (std::int64_t c = cuda::first_element(); c < channels; c += cuda::element_step())
    inverse_std[c] = T(1 / sqrt(static_cast<double>(variance[c]) + eps));
}

template <class T>
Tensor inverse_std_of(const Tensor& variance, double eps) {
  const Tensor result = Tensor::empty(variance.shape(), variance.dtype(), variance.device());
  cuda::launch(inverse_std_kernel<T>, cuda::blocks_for(variance.numel()), cuda::block_size, 0, cuda::stream(),
               variance.numel(), variance.data<T>(), eps, result.data<T>());
  return result;
}

template <class T>
void forward_evaluation_of(const Tensor& x, const Tensor& residual, const Tensor& scale, const Tensor& shift,
                           const Tensor& running_mean, const Tensor& running_variance, const BatchNormOptions& options,
                           Tensor& y) {
  const Tensor inverse_std = inverse_std_of<T>(running_variance, options.eps);
  const Channels<T> channels{running_mean.data<T>(), inverse_std.data<T>(), scale.data<T>(), shift.data<T>()};
  (fits_wide<T>(x, {residual, y}) ? normalise<cuda::wide<T>, T> : normalise<1, T>)(x, residual, channels, options.relu,
                                                                                   y);
}

// ---- Backwards ----

template <class T>
struct BackwardInputs {
  const T *dy, *x, *y;
  Channels<T> channels;
};

// The gradient with respect to the sum of normalised x and residual, of the thread's columns in one row.
template <Mask Kind, int Width, class T>
__device__ Group<T, Width> masked(const BackwardInputs<T>& in, const Affine<Width, T>& affine, std::int64_t at,
                                  const Group<T, Width>& x) {
  auto g = Group<T, Width>::load(in.dy + at);
  if constexpr (Kind == Mask::from_x)
    for (int i = 0; i < Width; ++i) g[i] = affine.normalised(i, x[i]) > T(0) ? g[i] : T(0);
  if constexpr (Kind == Mask::from_y) {
    const auto y = Group<T, Width>::load(in.y + at);
    for (int i = 0; i < Width; ++i) g[i] = y[i] > T(0) ? g[i] : T(0);
  }
  return g;
}

// Pass 1: Σ g and Σ g·(x − mean) of each column in each row range, partial (ranges, 2, C); and dresidual = g, if it is
// not null. dresidual may be dy.
template <Mask Kind, int Width, class T>
__global__ void gradient_sums_kernel(ColumnTiles tiles, BackwardInputs<T> in, T* dresidual, Write mode,
                                     double* partial) {
  const Affine<Width, T> affine(in.channels, tiles);
  T sums[Width] = {}, products[Width] = {};
  tiles.for_each_row([&](std::int64_t at) {
    const auto x = Group<T, Width>::load(in.x + at);
    auto g = masked<Kind>(in, affine, at, x);
    for (int i = 0; i < Width; ++i) {
      sums[i] += g[i];
      products[i] += g[i] * (x[i] - affine.mean[i]);
    }
    if (!dresidual) return;
    if (mode == Write::accumulate) {
      const auto before = Group<T, Width>::load(dresidual + at);
      for (int i = 0; i < Width; ++i) g[i] += before[i];
    }
    g.store(dresidual + at);
  });
  double totals[2 * Width];
  for (int i = 0; i < Width; ++i) totals[i] = sums[i], totals[Width + i] = products[i];
  cuda::sum_over_y(totals);
  const std::int64_t c = tiles.column();
  if (threadIdx.y != 0 || c >= tiles.columns) return;
  for (int i = 0; i < Width; ++i) {
    partial[partial_index<2>(tiles.columns, blockIdx.y, 0, c + i)] = totals[i];
    partial[partial_index<2>(tiles.columns, blockIdx.y, 1, c + i)] = totals[Width + i];
  }
}

// Between the passes, per channel: dscale and dshift (unless null), and the coefficients of dx.
template <class T>
struct FinishGradients {
  const T *scale, *inverse_std;
  double rows;
  bool frozen;  // mean and inverse_std are constants, not functions of x
  T *centre, *slope, *dscale, *dshift;
  Write dscale_mode, dshift_mode;

  __device__ void operator()(std::int64_t c, const double (&totals)[2]) const {
    const double sum = totals[0], product = totals[1], inverse = static_cast<double>(inverse_std[c]);
    const double per_row = frozen ? 0 : static_cast<double>(scale[c] * inverse_std[c]) / rows;
    centre[c] = T(per_row * sum);
    slope[c] = T(per_row * product * inverse * inverse);
    if (dscale) dscale[c] = T(product * inverse) + (dscale_mode == Write::overwrite ? T(0) : dscale[c]);
    if (dshift) dshift[c] = T(sum) + (dshift_mode == Write::overwrite ? T(0) : dshift[c]);
  }
};

// Pass 2: dx = factor·g − centre − slope·(x − mean). dx may be dy.
template <Mask Kind, int Width, class T>
__global__ void input_gradient_kernel(ColumnTiles tiles, BackwardInputs<T> in, const T* centre, const T* slope, T* dx,
                                      Write mode) {
  const Affine<Width, T> affine(in.channels, tiles);
  const std::int64_t c = tiles.column();
  T own_centre[Width], own_slope[Width];
  for (int i = 0; i < Width && c < tiles.columns; ++i) own_centre[i] = centre[c + i], own_slope[i] = slope[c + i];
  tiles.for_each_row([&](std::int64_t at) {
    const auto x = Group<T, Width>::load(in.x + at);
    auto values = masked<Kind>(in, affine, at, x);
    for (int i = 0; i < Width; ++i)
      values[i] =
          formulas::batch_norm_gradient(values[i], x[i], affine.mean[i], affine.factor[i], own_centre[i], own_slope[i]);
    if (mode == Write::accumulate) {
      const auto before = Group<T, Width>::load(dx + at);
      for (int i = 0; i < Width; ++i) values[i] += before[i];
    }
    values.store(dx + at);
  });
}

// Among kernels of the three kinds.
template <class Kernel>
Kernel choose(Mask mask, Kernel none, Kernel from_x, Kernel from_y) {
  return mask == Mask::none ? none : mask == Mask::from_x ? from_x : from_y;
}

// Both backward passes.
template <int Width, class T>
void backward(BackwardInputs<T> in, Mask mask, const Tensor& x, bool frozen, BatchNormGradients& gradients) {
  const ColumnTiles tiles(rows_of(x), x.dim(-1), Width);
  const Tensor partial = cuda::partial_sums(tiles, 2);
  T* const dresidual = data_or_null<T>(gradients.dresidual);
  cuda::launch(choose(mask, gradient_sums_kernel<Mask::none, Width, T>, gradient_sums_kernel<Mask::from_x, Width, T>,
                      gradient_sums_kernel<Mask::from_y, Width, T>),
               tiles.grid, tiles.block, 0, cuda::stream(), tiles, in, dresidual, gradients.dresidual_mode,
               partial.data<double>());

  const Tensor coefficients = Tensor::empty({2, tiles.columns}, x.dtype(), x.device());
  T* const centre = coefficients.data<T>();
  T* const slope = centre + tiles.columns;
  cuda::column_totals<2>(
      tiles, partial.data<double>(),
      FinishGradients<T>{in.channels.scale, in.channels.inverse_std, static_cast<double>(tiles.rows), frozen, centre,
                         slope, data_or_null<T>(gradients.dscale), data_or_null<T>(gradients.dshift),
                         gradients.dscale_mode, gradients.dshift_mode});
  if (!gradients.dx) return;

  if (dresidual && gradients.dresidual_mode == Write::overwrite) {  // holds the masked gradient
    in.dy = dresidual;
    mask = Mask::none;
  }
  cuda::launch(choose(mask, input_gradient_kernel<Mask::none, Width, T>, input_gradient_kernel<Mask::from_x, Width, T>,
                      input_gradient_kernel<Mask::from_y, Width, T>),
               tiles.grid, tiles.block, 0, cuda::stream(), tiles, in, centre, slope, gradients.dx.data<T>(),
               gradients.dx_mode);
}

template <class T>
void backward_of(const Tensor& dy, const Tensor& x, const Tensor& y, Mask mask, const Channels<T>& channels,
                 bool frozen, BatchNormGradients& gradients) {
  const Tensor sign = mask == Mask::from_y ? y : Tensor();
  const BackwardInputs<T> in{dy.data<T>(), x.data<T>(), data_or_null<T>(sign), channels};
  (fits_wide<T>(x, {dy, sign, gradients.dx, gradients.dresidual}) ? backward<cuda::wide<T>, T>
                                                                  : backward<1, T>)(in, mask, x, frozen, gradients);
}

template <class T>
void backward_training_of(const Tensor& dy, const Tensor& x, const Tensor& y, bool has_residual, const Tensor& scale,
                          const Tensor& shift, const Tensor& mean, const Tensor& inverse_std,
                          const BatchNormOptions& options, BatchNormGradients gradients) {
  const Channels<T> channels{mean.data<T>(), inverse_std.data<T>(), scale.data<T>(), shift.data<T>()};
  const Mask mask = mask_in_training(options.relu, has_residual);
  backward_of<T>(dy, x, y, mask, channels, false, gradients);
}

template <class T>
void backward_evaluation_of(const Tensor& dy, const Tensor& x, const Tensor& y, const Tensor& scale,
                            const Tensor& running_mean, const Tensor& running_variance, const BatchNormOptions& options,
                            BatchNormGradients gradients) {
  const Tensor inverse_std = inverse_std_of<T>(running_variance, options.eps);
  const Channels<T> channels{running_mean.data<T>(), inverse_std.data<T>(), scale.data<T>(), nullptr};
  backward_of<T>(dy, x, y, mask_in_evaluation(options.relu), channels, true, gradients);
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(batch_norm_forward_training, forward_training_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(batch_norm_forward_evaluation, forward_evaluation_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(batch_norm_backward, backward_training_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(batch_norm_backward_evaluation, backward_evaluation_of);

}  // namespace actgrad::kernels
