#include "kernels/row_means.h"

#include <algorithm>

#include "kernels/dispatch.h"
#include "kernels/linear.h"
#include "kernels/pack.h"
#include "kernels/registry.h"
#include "kernels/windows.h"

namespace actgrad::kernels {
namespace {

// Samples worth a thread of their own.
std::int64_t sample_grain(const Tensor& x) {
  return 1 + 32768 / std::max<std::int64_t>(1, x.numel() / std::max<std::int64_t>(1, x.dim(0)));
}

}  // namespace

void mean_of_rows(const Tensor& x, Tensor& result) {
  const std::int64_t columns = x.dim(-1), rows = columns ? x.numel() / columns : 0;
  ACTGRAD_CHECK(result.shape() == Shape{columns} && result.dtype() == x.dtype(), result.shape().to_string());
  ACTGRAD_DISPATCH(mean_of_rows, x, x, result);
  bias_backward(x, result, Write::overwrite);  // sums in double
  visit_floating(x.dtype(), [&]<class T>() {
    for (std::int64_t j = 0; j < columns; ++j) result.data<T>()[j] /= static_cast<T>(rows);
  });
}

void position_means(const Tensor& x, bool ones, Tensor& result) {
  const std::int64_t samples = x.dim(0), d = x.dim(-1), n = d + (ones ? 1 : 0);
  const std::int64_t positions = x.numel() ? x.numel() / (samples * d) : 0;
  ACTGRAD_CHECK(x.rank() >= 2 && result.shape() == (Shape{samples, n}) && result.dtype() == x.dtype(),
                result.shape().to_string());
  ACTGRAD_DISPATCH(position_means, x, x, ones, result);
  visit_floating(x.dtype(), [&]<class T>() {
    const T factor = T(1) / static_cast<T>(positions);
    parallel_for(samples, sample_grain(x), [&](Range range, int) {
      for (std::int64_t sample = range.begin; sample < range.end; ++sample) {
        const T* const from = x.data<T>() + sample * positions * d;
        T* const mean = result.data<T>() + sample * n;
        for_each_pack_group<T>(d, [&]<class P, int Count>(std::int64_t c) {
          P sums[Count] = {};
          for (std::int64_t p = 0; p < positions; ++p)
            for (int i = 0; i < Count; ++i) sums[i] += load<P>(from + p * d + c + i * lanes<P, T>);
          for (int i = 0; i < Count; ++i) store(mean + c + i * lanes<P, T>, sums[i] * factor);
        });
        if (ones) mean[d] = T(1);
      }
    });
  });
}

void patch_means(const Conv2dGeometry& g, const Tensor& x, bool ones, Tensor& result) {
  const std::int64_t d = g.patch_size(), n = d + (ones ? 1 : 0), image = g.height * g.width * g.in_channels;
  ACTGRAD_CHECK(x.shape() == g.input_shape(), x.shape().to_string());
  ACTGRAD_CHECK(result.shape() == (Shape{g.batch, g.groups * n}) && result.dtype() == x.dtype(),
                result.shape().to_string());
  ACTGRAD_DISPATCH(patch_means, x, g, x, ones, result);
  visit_floating(x.dtype(), [&]<class T>() {
    const std::int64_t grain = sample_grain(x);
    const Tensor scratch = Tensor::empty({threads_for(g.batch, grain), (g.width + 1) * g.in_channels}, x.dtype());
    const T factor = T(1) / static_cast<T>(g.out_height() * g.out_width());
    parallel_for(g.batch, grain, [&](Range range, int thread) {
      for (std::int64_t sample = range.begin; sample < range.end; ++sample) {
        T* const to = result.data<T>() + sample * g.groups * n;
        sum_windows(g, x.data<T>() + sample * image, scratch.data<T>() + thread * scratch.dim(1),
                    [&](std::int64_t group, std::int64_t column, const T* sums, std::int64_t count) {
                      for (std::int64_t c = 0; c < count; ++c) to[group * n + column + c] = sums[c] * factor;
                    });
        if (!ones) continue;
        for (std::int64_t group = 0; group < g.groups; ++group) to[group * n + d] = T(1);
      }
    });
  });
}

}  // namespace actgrad::kernels
