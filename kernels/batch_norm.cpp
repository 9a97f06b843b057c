// Every pass is bound by memory, so the passes are few and each reads long runs: statistics and gradients are summed
// over chunks of rows that fit the first-level cache, in registers, and the second pass of a function walks the rows
// backwards, to meet what the first one left in the cache.
#include "kernels/batch_norm.h"

#include <cmath>
#include <vector>

#include "kernels/batch_norm_mask.h"
#include "kernels/dispatch.h"
#include "kernels/flat.h"
#include "kernels/formulas.h"
#include "kernels/pack.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

struct Matrix {
  std::int64_t rows, channels;
  std::int64_t grain() const { return std::max<std::int64_t>(1, flat_grain / 2 / channels); }  // rows per thread
  int parts() const { return threads_for(rows, grain()); }
  // Rows per chunk: 4096 elements. Short enough for sums in float, and for a chunk to stay in the cache.
  std::int64_t chunk() const { return std::max<std::int64_t>(16, 4096 / channels); }
};

Matrix matrix_of(const Tensor& x) {
  ACTGRAD_CHECK(x.rank() >= 1 && x.numel() > 0, "batch norm of " + x.shape().to_string());
  return {x.numel() / x.dim(-1), x.dim(-1)};
}

void check_channels(const Matrix& m, const Tensor& x, const Tensor& vector) {
  ACTGRAD_CHECK((vector.shape() == Shape{m.channels}) && vector.dtype() == x.dtype(),
                x.shape().to_string() + " with " + vector.shape().to_string());
}

// Calls body(first row, count, part) for every chunk of rows, each part on its own thread, forwards or backwards.
template <class Body>
void for_each_chunk(const Matrix& m, bool backwards, const Body& body) {
  const std::int64_t chunk = m.chunk();
  parallel_for(m.rows, m.grain(), [&](Range range, int part) {
    const std::int64_t chunks = (range.end - range.begin + chunk - 1) / chunk;
    for (std::int64_t i = 0; i < chunks; ++i) {
      const std::int64_t first = range.begin + (backwards ? chunks - 1 - i : i) * chunk;
      body(first, std::min(chunk, range.end - first), part);
    }
  });
}

// Two numbers per channel and part, in double: mean and Σ(x − mean)² of the rows seen so far, or the two sums of the
// backward pass. Parts are combined in order.
class Sums {
 public:
  explicit Sums(const Matrix& m)
      : channels_(m.channels), storage_(Tensor::zeros({m.parts(), 2, m.channels}, DType::float64)) {}
  double* first(int part) { return storage_.data<double>() + 2 * part * channels_; }
  double* second(int part) { return first(part) + channels_; }

 private:
  std::int64_t channels_;
  Tensor storage_;
};

// Joins the moments (count, mean, Σ(x − mean)²) of two sets of rows (Chan, Golub and LeVeque 1979): no cancellation,
// however large the mean is beside the deviation.
void join_moments(double count_a, double& mean_a, double& square_a, double count_b, double mean_b, double square_b) {
  const double count = count_a + count_b, delta = mean_b - mean_a;
  mean_a += delta * (count_b / count);
  square_a += square_b + delta * delta * (count_a * count_b / count);
}

// Adds the rows of one chunk to the moments of `seen` earlier rows. Sums are taken relative to the chunk's first row.
template <class T>
void add_chunk_moments(const T* x, std::int64_t rows, std::int64_t channels, std::int64_t seen, double* mean,
                       double* square) {
  for_each_pack_group<T>(channels, [&]<class P, int Count>(std::int64_t c) {
    constexpr std::int64_t width = lanes<P, T>;
    P origin[Count], sum[Count] = {}, squares[Count] = {};
    for (int i = 0; i < Count; ++i) origin[i] = load<P>(x + c + i * width);
    for (std::int64_t r = 1; r < rows; ++r)
      for (int i = 0; i < Count; ++i) {
        const P d = load<P>(x + r * channels + c + i * width) - origin[i];
        sum[i] += d;
        squares[i] += d * d;
      }
    T sums[Count * width], sums_of_squares[Count * width];
    std::memcpy(sums, sum, sizeof sum);
    std::memcpy(sums_of_squares, squares, sizeof squares);
    const double count = static_cast<double>(rows);
    for (std::int64_t j = 0; j < Count * width; ++j) {
      const formulas::Moments chunk = formulas::moments_around(
          static_cast<double>(x[c + j]), count, static_cast<double>(sums[j]), static_cast<double>(sums_of_squares[j]));
      join_moments(static_cast<double>(seen), mean[c + j], square[c + j], count, chunk.mean, chunk.squares);
    }
  });
}

// Mean and Σ(x − mean)² of every channel, in part 0 of the result.
template <class T>
Sums moments(const Matrix& m, const T* x) {
  Sums sums(m);
  for_each_chunk(m, false, [&](std::int64_t first, std::int64_t rows, int part) {
    const std::int64_t seen = first - range_of(m.rows, part, m.parts()).begin;
    add_chunk_moments(x + first * m.channels, rows, m.channels, seen, sums.first(part), sums.second(part));
  });
  for (int part = 1; part < m.parts(); ++part) {
    const Range range = range_of(m.rows, part, m.parts());
    for (std::int64_t c = 0; c < m.channels; ++c)
      join_moments(static_cast<double>(range.begin), sums.first(0)[c], sums.second(0)[c],
                   static_cast<double>(range.end - range.begin), sums.first(part)[c], sums.second(part)[c]);
  }
  return sums;
}

// What normalisation needs per channel; factor = scale · inverse_std.
template <class T>
struct Affine {
  const T *mean, *factor, *shift;
};

template <bool Relu, bool Residual, class T>
void normalise_chunk(const T* x, const T* residual, std::int64_t rows, std::int64_t channels, const Affine<T>& affine,
                     T* y) {
  for_each_pack_group<T>(channels, [&]<class P, int Count>(std::int64_t c) {
    constexpr std::int64_t width = lanes<P, T>;
    P mean[Count], factor[Count], shift[Count];
    for (int i = 0; i < Count; ++i) {
      mean[i] = load<P>(affine.mean + c + i * width);
      factor[i] = load<P>(affine.factor + c + i * width);
      shift[i] = load<P>(affine.shift + c + i * width);
    }
    for (std::int64_t r = 0; r < rows; ++r)
      for (int i = 0; i < Count; ++i) {
        const std::int64_t at = r * channels + c + i * width;
        P value = formulas::batch_norm(load<P>(x + at), mean[i], factor[i], shift[i]);
        if constexpr (Residual) value += load<P>(residual + at);
        if constexpr (Relu) value = value < P{} ? P{} : value;  // NaN stays NaN
        store(y + at, value);
      }
  });
}

template <class T>
void normalise(const Matrix& m, const T* x, const T* residual, const Affine<T>& affine, bool relu, bool backwards,
               T* y) {
  const auto chunk = relu ? (residual ? normalise_chunk<true, true, T> : normalise_chunk<true, false, T>)
                          : (residual ? normalise_chunk<false, true, T> : normalise_chunk<false, false, T>);
  for_each_chunk(m, backwards, [&](std::int64_t first, std::int64_t rows, int) {
    const std::int64_t at = first * m.channels;
    chunk(x + at, residual ? residual + at : nullptr, rows, m.channels, affine, y + at);
  });
}

template <class T>
struct BackwardInputs {
  const T *dy, *x, *y;
  Affine<T> affine;
  Mask mask;
};

// The gradient with respect to the sum of normalised x and residual, one pack of it.
template <Mask Kind, class P, class T>
P masked(const BackwardInputs<T>& in, std::int64_t at, P x, P mean, P factor, P shift) {
  const P dy = load<P>(in.dy + at);
  if constexpr (Kind == Mask::from_x) return formulas::batch_norm(x, mean, factor, shift) > P{} ? dy : P{};
  if constexpr (Kind == Mask::from_y) return load<P>(in.y + at) > P{} ? dy : P{};
  return dy;
}

// Pass 1: adds Σ g and Σ g·(x − mean) over the rows [first, first + rows), and writes dresidual = g.
template <Mask Kind, class T>
void sum_chunk(const BackwardInputs<T>& in, std::int64_t first, std::int64_t rows, std::int64_t channels, T* dresidual,
               Write mode, double* sum, double* product) {
  for_each_pack_group<T>(channels, [&]<class P, int Count>(std::int64_t c) {
    constexpr std::int64_t width = lanes<P, T>;
    P mean[Count], factor[Count], shift[Count], sums[Count] = {}, products[Count] = {};
    for (int i = 0; i < Count; ++i) {
      mean[i] = load<P>(in.affine.mean + c + i * width);
      factor[i] = load<P>(in.affine.factor + c + i * width);
      shift[i] = load<P>(in.affine.shift + c + i * width);
    }
    for (std::int64_t r = first; r < first + rows; ++r)
      for (int i = 0; i < Count; ++i) {
        const std::int64_t at = r * channels + c + i * width;
        const P x = load<P>(in.x + at);
        const P g = masked<Kind>(in, at, x, mean[i], factor[i], shift[i]);
        sums[i] += g;
        products[i] += g * (x - mean[i]);
        if (dresidual) store<P>(dresidual + at, mode == Write::overwrite ? g : load<P>(dresidual + at) + g);
      }
    T totals[Count * width], product_totals[Count * width];
    std::memcpy(totals, sums, sizeof sums);
    std::memcpy(product_totals, products, sizeof products);
    for (std::int64_t j = 0; j < Count * width; ++j) {
      sum[c + j] += static_cast<double>(totals[j]);
      product[c + j] += static_cast<double>(product_totals[j]);
    }
  });
}

// Pass 2: dx = factor·g − centre − slope·(x − mean), per channel.
template <class T>
struct InputGradient {
  const T *centre, *slope;
  T* dx;
  Write mode;
};

template <Mask Kind, class T>
void gradient_chunk(const BackwardInputs<T>& in, std::int64_t first, std::int64_t rows, std::int64_t channels,
                    const InputGradient<T>& out) {
  for_each_pack_group<T>(channels, [&]<class P, int Count>(std::int64_t c) {
    constexpr std::int64_t width = lanes<P, T>;
    P mean[Count], factor[Count], shift[Count], centre[Count], slope[Count];
    for (int i = 0; i < Count; ++i) {
      mean[i] = load<P>(in.affine.mean + c + i * width);
      factor[i] = load<P>(in.affine.factor + c + i * width);
      shift[i] = load<P>(in.affine.shift + c + i * width);
      centre[i] = load<P>(out.centre + c + i * width);
      slope[i] = load<P>(out.slope + c + i * width);
    }
    for (std::int64_t r = first; r < first + rows; ++r)
      for (int i = 0; i < Count; ++i) {
        const std::int64_t at = r * channels + c + i * width;
        const P x = load<P>(in.x + at);
        const P g = masked<Kind>(in, at, x, mean[i], factor[i], shift[i]);
        const P dx = formulas::batch_norm_gradient(g, x, mean[i], factor[i], centre[i], slope[i]);
        store<P>(out.dx + at, out.mode == Write::overwrite ? dx : load<P>(out.dx + at) + dx);
      }
  });
}

// f.template operator()<Kind>() for the run-time value.
template <class F>
void visit_mask(Mask mask, F&& f) {
  switch (mask) {
    case Mask::none: return f.template operator()<Mask::none>();
    case Mask::from_x: return f.template operator()<Mask::from_x>();
    case Mask::from_y: return f.template operator()<Mask::from_y>();
  }
}

// Both backward passes. `frozen`: mean and inverse_std are constants, not functions of x.
template <class T>
void backward(const Matrix& m, BackwardInputs<T> in, const T* inverse_std, bool frozen, BatchNormGradients& gradients) {
  Sums sums(m);
  T* const dresidual = gradients.dresidual ? gradients.dresidual.data<T>() : nullptr;
  visit_mask(in.mask, [&]<Mask Kind>() {
    for_each_chunk(m, false, [&](std::int64_t first, std::int64_t rows, int part) {
      sum_chunk<Kind>(in, first, rows, m.channels, dresidual, gradients.dresidual_mode, sums.first(part),
                      sums.second(part));
    });
  });
  const Tensor coefficients = Tensor::empty({2, m.channels}, dtype_of<T>::value);
  T* const centre = coefficients.data<T>();
  T* const slope = centre + m.channels;
  T* const dscale = gradients.dscale ? gradients.dscale.data<T>() : nullptr;
  T* const dshift = gradients.dshift ? gradients.dshift.data<T>() : nullptr;
  for (std::int64_t c = 0; c < m.channels; ++c) {
    double sum = 0, product = 0;
    for (int part = 0; part < m.parts(); ++part) sum += sums.first(part)[c], product += sums.second(part)[c];
    const double inverse = static_cast<double>(inverse_std[c]), factor = static_cast<double>(in.affine.factor[c]);
    const double per_row = frozen ? 0 : factor / static_cast<double>(m.rows);
    centre[c] = T(per_row * sum);
    slope[c] = T(per_row * product * inverse * inverse);
    if (dscale) dscale[c] = T(product * inverse) + (gradients.dscale_mode == Write::overwrite ? T(0) : dscale[c]);
    if (dshift) dshift[c] = T(sum) + (gradients.dshift_mode == Write::overwrite ? T(0) : dshift[c]);
  }
  if (!gradients.dx) return;
  if (dresidual && gradients.dresidual_mode == Write::overwrite) {  // holds the masked gradient
    in.dy = dresidual;
    in.mask = Mask::none;
  }
  const InputGradient<T> out{centre, slope, gradients.dx.data<T>(), gradients.dx_mode};
  visit_mask(in.mask, [&]<Mask Kind>() {
    for_each_chunk(m, true, [&](std::int64_t first, std::int64_t rows, int) {
      gradient_chunk<Kind>(in, first, rows, m.channels, out);
    });
  });
}

void check_gradients(const Matrix& m, const Tensor& x, const BatchNormGradients& gradients) {
  if (gradients.dx) check_like(x, gradients.dx);
  if (gradients.dresidual) check_like(x, gradients.dresidual);
  if (gradients.dscale) check_channels(m, x, gradients.dscale);
  if (gradients.dshift) check_channels(m, x, gradients.dshift);
}

// 1/√(variance + ε) and scale/√(variance + ε) from a variance tensor.
template <class T>
void factors_from_variance(const Tensor& variance, const Tensor& scale, double eps, T* inverse_std, T* factor) {
  for (std::int64_t c = 0; c < variance.numel(); ++c) {
    const double inverse = 1 / std::sqrt(static_cast<double>(variance.data<T>()[c]) + eps);
    inverse_std[c] = T(inverse);
    factor[c] = T(static_cast<double>(scale.data<T>()[c]) * inverse);
  }
}

// Operations on each number: formulas.h's, and those of the sums over the batch.
double flops_forward(const Tensor& x, bool sums, bool residual, bool relu) {
  return static_cast<double>(x.numel()) * (3 + 4 * sums + residual + relu);
}
Work work_backward(const Tensor& dy, const Tensor& x, const Tensor& y, Mask mask, const BatchNormGradients& to) {
  const double bytes = bytes_of(dy, x) + (mask == Mask::from_y ? bytes_of(y) : 0) + bytes_of(to.dx, to.dx_mode) +
                       bytes_of(to.dresidual, to.dresidual_mode) + bytes_of(to.dscale, to.dscale_mode) +
                       bytes_of(to.dshift, to.dshift_mode);
  return {.bytes = bytes, .flops = static_cast<double>(x.numel()) * (9 + (mask != Mask::none))};
}

}  // namespace

void batch_norm_forward_training(const Tensor& x, const Tensor& residual, const Tensor& scale, const Tensor& shift,
                                 Tensor& running_mean, Tensor& running_variance, const BatchNormOptions& options,
                                 Tensor& y, Tensor& mean, Tensor& inverse_std) {
  const Matrix m = matrix_of(x);
  check_like(x, y);
  if (residual) check_like(x, residual);
  for (const Tensor& vector : {scale, shift, running_mean, running_variance, mean, inverse_std})
    check_channels(m, x, vector);
  ACTGRAD_CHECK(m.rows > 1, "batch norm needs more than one value per channel: " + x.shape().to_string());
  const WorkScope work("batch_norm_forward_training",
                       {.bytes = bytes_of(x, residual, scale, shift, y, mean, inverse_std) +
                                 2 * bytes_of(running_mean, running_variance),
                        .flops = flops_forward(x, true, static_cast<bool>(residual), options.relu)});
  ACTGRAD_DISPATCH(batch_norm_forward_training, x, x, residual, scale, shift, running_mean, running_variance, options,
                   y, mean, inverse_std);
  visit_floating(x.dtype(), [&]<class T>() {
    Sums sums = moments(m, x.data<T>());
    const Tensor factor_scratch = Tensor::empty({m.channels}, x.dtype());
    T* const factor = factor_scratch.data<T>();
    const double rows = static_cast<double>(m.rows);
    const auto average = [&](T& running, double batch) {
      running = formulas::running_average(running, batch, options.momentum);
    };
    for (std::int64_t c = 0; c < m.channels; ++c) {
      const double batch_mean = sums.first(0)[c], squares = sums.second(0)[c];
      const double inverse = 1 / std::sqrt(squares / rows + options.eps);
      mean.data<T>()[c] = T(batch_mean);
      inverse_std.data<T>()[c] = T(inverse);
      factor[c] = T(static_cast<double>(scale.data<T>()[c]) * static_cast<double>(T(inverse)));
      average(running_mean.data<T>()[c], batch_mean);
      average(running_variance.data<T>()[c], squares / (rows - 1));
    }
    const Affine<T> affine{mean.data<T>(), factor, shift.data<T>()};
    normalise(m, x.data<T>(), residual ? residual.data<T>() : nullptr, affine, options.relu, true, y.data<T>());
  });
}

void batch_norm_forward_evaluation(const Tensor& x, const Tensor& residual, const Tensor& scale, const Tensor& shift,
                                   const Tensor& running_mean, const Tensor& running_variance,
                                   const BatchNormOptions& options, Tensor& y) {
  const Matrix m = matrix_of(x);
  check_like(x, y);
  if (residual) check_like(x, residual);
  for (const Tensor& vector : {scale, shift, running_mean, running_variance}) check_channels(m, x, vector);
  const WorkScope work("batch_norm_forward_evaluation",
                       {.bytes = bytes_of(x, residual, scale, shift, running_mean, running_variance, y),
                        .flops = flops_forward(x, false, static_cast<bool>(residual), options.relu)});
  ACTGRAD_DISPATCH(batch_norm_forward_evaluation, x, x, residual, scale, shift, running_mean, running_variance, options,
                   y);
  visit_floating(x.dtype(), [&]<class T>() {
    const Tensor scratch = Tensor::empty({2, m.channels}, x.dtype());
    T* const inverse_std = scratch.data<T>();
    T* const factor = inverse_std + m.channels;
    factors_from_variance(running_variance, scale, options.eps, inverse_std, factor);
    const Affine<T> affine{running_mean.data<T>(), factor, shift.data<T>()};
    normalise(m, x.data<T>(), residual ? residual.data<T>() : nullptr, affine, options.relu, false, y.data<T>());
  });
}

void batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& y, bool has_residual, const Tensor& scale,
                         const Tensor& shift, const Tensor& mean, const Tensor& inverse_std,
                         const BatchNormOptions& options, BatchNormGradients gradients) {
  const Matrix m = matrix_of(x);
  const Mask mask = mask_in_training(options.relu, has_residual);
  check_like(x, dy);
  if (mask == Mask::from_y) check_like(x, y);
  for (const Tensor& vector : {scale, shift, mean, inverse_std}) check_channels(m, x, vector);
  check_gradients(m, x, gradients);
  const WorkScope work("batch_norm_backward", work_backward(dy, x, y, mask, gradients));
  ACTGRAD_DISPATCH(batch_norm_backward, x, dy, x, y, has_residual, scale, shift, mean, inverse_std, options, gradients);
  visit_floating(x.dtype(), [&]<class T>() {
    const Tensor factor_scratch = Tensor::empty({m.channels}, x.dtype());
    T* const factor = factor_scratch.data<T>();
    for (std::int64_t c = 0; c < m.channels; ++c)  // rounded as in the forward pass, so that the mask is the same
      factor[c] = T(static_cast<double>(scale.data<T>()[c]) * static_cast<double>(inverse_std.data<T>()[c]));
    const BackwardInputs<T> in{dy.data<T>(),
                               x.data<T>(),
                               mask == Mask::from_y ? y.data<T>() : nullptr,
                               {mean.data<T>(), factor, shift.data<T>()},
                               mask};
    backward(m, in, inverse_std.data<T>(), false, gradients);
  });
}

void batch_norm_backward_evaluation(const Tensor& dy, const Tensor& x, const Tensor& y, const Tensor& scale,
                                    const Tensor& running_mean, const Tensor& running_variance,
                                    const BatchNormOptions& options, BatchNormGradients gradients) {
  const Matrix m = matrix_of(x);
  const Mask mask = mask_in_evaluation(options.relu);
  check_like(x, dy);
  if (mask == Mask::from_y) check_like(x, y);
  for (const Tensor& vector : {scale, running_mean, running_variance}) check_channels(m, x, vector);
  check_gradients(m, x, gradients);
  const WorkScope work("batch_norm_backward_evaluation", work_backward(dy, x, y, mask, gradients));
  ACTGRAD_DISPATCH(batch_norm_backward_evaluation, x, dy, x, y, scale, running_mean, running_variance, options,
                   gradients);
  visit_floating(x.dtype(), [&]<class T>() {
    const Tensor scratch = Tensor::zeros({3, m.channels}, x.dtype());
    T* const inverse_std = scratch.data<T>();
    T* const factor = inverse_std + m.channels;
    const T* const no_shift = factor + m.channels;
    factors_from_variance(running_variance, scale, options.eps, inverse_std, factor);
    const BackwardInputs<T> in{dy.data<T>(),
                               x.data<T>(),
                               mask == Mask::from_y ? y.data<T>() : nullptr,
                               {running_mean.data<T>(), factor, no_shift},
                               mask};
    backward(m, in, inverse_std, true, gradients);
  });
}

}  // namespace actgrad::kernels
