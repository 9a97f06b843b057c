#include "kernels/linear.h"

#include <algorithm>

#include "kernels/dispatch.h"
#include "kernels/gemm.h"
#include "kernels/parallel.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

// How many rows a tensor has whose last dimension holds `columns` elements.
std::int64_t rows_of(const Tensor& x, std::int64_t columns) {
  ACTGRAD_CHECK(x.rank() >= 1 && x.dim(-1) == columns,
                x.shape().to_string() + ", last dimension not " + std::to_string(columns));
  return columns ? x.numel() / columns : 0;
}

Work work_of(std::int64_t rows, std::int64_t in, std::int64_t out, double bytes) {
  return {.bytes = bytes, .flops = 2.0 * static_cast<double>(rows * in * out), .product = true};
}

}  // namespace

void linear_forward(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y) {
  const std::int64_t out = weight.dim(0), in = weight.dim(1), rows = rows_of(x, in);
  ACTGRAD_CHECK(rows_of(y, out) == rows && (!bias || bias.numel() == out), y.shape().to_string());
  const WorkScope work("linear_forward", work_of(rows, in, out, bytes_of(x, weight, bias, y)));
  ACTGRAD_DISPATCH(linear_forward, x, x, weight, bias, y);
  if (bias) bias_forward(bias, y);
  visit_floating(x.dtype(), [&]<class T>() {
    gemm(Transpose::no, Transpose::yes, rows, out, in, x.data<T>(), in, weight.data<T>(), in, y.data<T>(), out,
         bias ? Write::accumulate : Write::overwrite);
  });
}

void linear_backward_input(const Tensor& dy, const Tensor& weight, Tensor& dx, Write mode) {
  const std::int64_t out = weight.dim(0), in = weight.dim(1), rows = rows_of(dy, out);
  ACTGRAD_CHECK(rows_of(dx, in) == rows, dx.shape().to_string());
  const WorkScope work("linear_backward_input", work_of(rows, in, out, bytes_of(dy, weight) + bytes_of(dx, mode)));
  ACTGRAD_DISPATCH(linear_backward_input, dy, dy, weight, dx, mode);
  visit_floating(dy.dtype(), [&]<class T>() {
    gemm(Transpose::no, Transpose::no, rows, in, out, dy.data<T>(), out, weight.data<T>(), in, dx.data<T>(), in, mode);
  });
}

void linear_backward_weight(const Tensor& dy, const Tensor& x, Tensor& dweight, Write mode) {
  const std::int64_t out = dweight.dim(0), in = dweight.dim(1), rows = rows_of(dy, out);
  ACTGRAD_CHECK(rows_of(x, in) == rows, x.shape().to_string());
  const WorkScope work("linear_backward_weight", work_of(rows, in, out, bytes_of(dy, x) + bytes_of(dweight, mode)));
  ACTGRAD_DISPATCH(linear_backward_weight, dy, dy, x, dweight, mode);
  visit_floating(dy.dtype(), [&]<class T>() {
    gemm(Transpose::yes, Transpose::no, out, in, rows, dy.data<T>(), out, x.data<T>(), in, dweight.data<T>(), in, mode);
  });
}

void bias_forward(const Tensor& bias, Tensor& y) {
  const std::int64_t out = bias.numel(), rows = rows_of(y, out);
  ACTGRAD_DISPATCH(bias_forward, y, bias, y);
  visit_floating(y.dtype(), [&]<class T>() {
    const T* b = bias.data<T>();
    T* p = y.data<T>();
    parallel_for(rows, 1 + 32768 / out, [&](Range range, int) {
      for (std::int64_t r = range.begin; r < range.end; ++r) std::copy_n(b, out, p + r * out);
    });
  });
}

void bias_backward(const Tensor& dy, Tensor& dbias, Write mode) {
  const std::int64_t out = dbias.numel(), rows = rows_of(dy, out);
  ACTGRAD_DISPATCH(bias_backward, dy, dy, dbias, mode);
  // Behind a convolution there are hundreds of thousands of rows: sums are taken in double. A few short rows count as
  // one long row of `width` elements, so that vectors are full with few channels too.
  const std::int64_t together = std::max<std::int64_t>(1, 64 / out), width = together * out,
                     long_rows = rows / together;
  const std::int64_t grain = 1 + 32768 / width;
  Tensor partial = Tensor::zeros({threads_for(long_rows, grain), width}, DType::float64);
  visit_floating(dy.dtype(), [&]<class T>() {
    const T* p = dy.data<T>();
    parallel_for(long_rows, grain, [&](Range range, int thread) {
      double* sums = partial.data<double>() + thread * width;
      constexpr std::int64_t block = 8;  // rows that are added up before they go to the sums in double
      std::int64_t r = range.begin;
      for (; r + block <= range.end; r += block)
        for (std::int64_t j = 0; j < width; ++j) {
          T sum = p[r * width + j];
          for (std::int64_t k = 1; k < block; ++k) sum += p[(r + k) * width + j];
          sums[j] += static_cast<double>(sum);
        }
      for (; r < range.end; ++r)
        for (std::int64_t j = 0; j < width; ++j) sums[j] += static_cast<double>(p[r * width + j]);
    });
    const double* sums = partial.data<double>();
    T* db = dbias.data<T>();
    for (std::int64_t o = 0; o < out; ++o) {
      double total = mode == Write::accumulate ? static_cast<double>(db[o]) : 0;
      for (std::int64_t j = o; j < partial.numel(); j += out) total += sums[j];
      for (std::int64_t r = long_rows * together; r < rows; ++r) total += static_cast<double>(p[r * out + o]);
      db[o] = static_cast<T>(total);
    }
  });
}

}  // namespace actgrad::kernels
