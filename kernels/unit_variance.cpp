#include "kernels/unit_variance.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/formulas.h"
#include "kernels/parallel.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

struct Spread {
  double sum = 0, smallest = std::numeric_limits<double>::infinity(), largest = 0;
};

// The variances of the units in `range`, over `samples` rows of `units` numbers.
template <class T>
Spread spread_of(const T* x, std::int64_t samples, std::int64_t units, Range range) {
  constexpr std::int64_t block = 256;  // units whose sums stay in the first cache
  Spread spread;
  for (std::int64_t begin = range.begin; begin < range.end; begin += block) {
    const std::int64_t count = std::min(block, range.end - begin);
    double sums[block] = {}, squares[block] = {};
    for (std::int64_t n = 0; n < samples; ++n)
      for (std::int64_t j = 0; j < count; ++j) {  // relative to the first sample, so that little cancels
        const double d = static_cast<double>(x[n * units + begin + j]) - static_cast<double>(x[begin + j]);
        sums[j] += d;
        squares[j] += d * d;
      }
    for (std::int64_t j = 0; j < count; ++j) {
      const auto count_of_samples = static_cast<double>(samples);
      const double variance =
          formulas::moments_around(0, count_of_samples, sums[j], squares[j]).squares / count_of_samples;
      spread.sum += variance;
      spread.smallest = std::min(spread.smallest, variance);
      spread.largest = std::max(spread.largest, variance);
    }
  }
  return spread;
}

}  // namespace

void unit_variance(const Tensor& x, Tensor& result) {
  const std::int64_t samples = x.dim(0), units = samples ? x.numel() / samples : 0;
  ACTGRAD_CHECK(units > 0 && result.shape() == Shape{3} && result.dtype() == DType::float64,
                x.shape().to_string() + ", result " + result.shape().to_string());
  ACTGRAD_DISPATCH(unit_variance, x, x, result);
  visit_floating(x.dtype(), [&]<class T>() {
    const std::int64_t grain = 1 + 65536 / samples;
    std::vector<Spread> parts(static_cast<std::size_t>(threads_for(units, grain)));
    parallel_for(units, grain, [&](Range range, int part) {
      parts[static_cast<std::size_t>(part)] = spread_of(x.data<T>(), samples, units, range);
    });
    Spread all;
    for (const Spread& part : parts) {
      all.sum += part.sum;
      all.smallest = std::min(all.smallest, part.smallest);
      all.largest = std::max(all.largest, part.largest);
    }
    double* const to = result.data<double>();
    to[0] = all.sum / static_cast<double>(units);
    to[1] = all.smallest;
    to[2] = all.largest;
  });
}

}  // namespace actgrad::kernels
