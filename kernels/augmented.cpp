#include "kernels/augmented.h"

#include <algorithm>

#include "kernels/dispatch.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

// d.
std::int64_t check_shapes(const Tensor& weight, const Tensor& bias, const Tensor& matrix) {
  const std::int64_t out = weight.dim(0), d = out ? weight.numel() / out : 0;
  ACTGRAD_CHECK(matrix.shape() == (Shape{out, d + (bias ? 1 : 0)}) && (!bias || bias.shape() == Shape{out}),
                matrix.shape().to_string() + " is not [W | b] of " + weight.shape().to_string());
  return d;
}

}  // namespace

void join_bias(const Tensor& weight, const Tensor& bias, Tensor& matrix) {
  const std::int64_t d = check_shapes(weight, bias, matrix), n = matrix.dim(1);
  ACTGRAD_DISPATCH(join_bias, weight, weight, bias, matrix);
  visit_floating(weight.dtype(), [&]<class T>() {
    for (std::int64_t o = 0; o < matrix.dim(0); ++o) {
      T* const row = matrix.data<T>() + o * n;
      std::copy_n(weight.data<T>() + o * d, d, row);
      if (bias) row[d] = bias.data<T>()[o];
    }
  });
}

void split_bias(const Tensor& matrix, Tensor& weight, Tensor& bias, Write mode) {
  const std::int64_t d = check_shapes(weight, bias, matrix), n = matrix.dim(1);
  ACTGRAD_DISPATCH(split_bias, matrix, matrix, weight, bias, mode);
  visit_floating(matrix.dtype(), [&]<class T>() {
    const T kept = mode == Write::accumulate ? T(1) : T(0);
    const auto put = [&](T& to, T value) { to = kept == T(0) ? value : to + value; };
    for (std::int64_t o = 0; o < matrix.dim(0); ++o) {
      const T* const row = matrix.data<T>() + o * n;
      T* const w = weight.data<T>() + o * d;
      for (std::int64_t j = 0; j < d; ++j) put(w[j], row[j]);
      if (bias) put(bias.data<T>()[o], row[d]);
    }
  });
}

}  // namespace actgrad::kernels
