// Convolution as im2col and a matrix product: the engine to read.
//
// For each group, with X the column matrix of im2col.h (positions, patch), W the group's weights (out, patch) and Y its
// output channels (positions, out):   Y = X Wᵀ + b,   dX = dY W,   dW = dYᵀ X.
#include <algorithm>

#include "kernels/conv2d_engines.h"
#include "kernels/dispatch.h"
#include "kernels/gemm.h"
#include "kernels/im2col.h"
#include "kernels/linear.h"

namespace actgrad::kernels {
namespace {

// Calls f(first, count, group) for blocks of images whose column matrices take about a megabyte: they stay in the cache
// between being written and being read, and the memory does not grow with the batch.
template <class T, class F>
void for_each_block(const Conv2dGeometry& g, F&& f) {
  const std::int64_t bytes = g.out_height() * g.out_width() * g.patch_size() * static_cast<std::int64_t>(sizeof(T));
  const std::int64_t images = std::clamp<std::int64_t>((1 << 20) / bytes, 1, std::max<std::int64_t>(g.batch, 1));
  Tensor columns = Tensor::empty({images * g.out_height() * g.out_width(), g.patch_size()}, dtype_of<T>::value);
  for (std::int64_t first = 0; first < g.batch; first += images)
    for (std::int64_t group = 0; group < g.groups; ++group)
      f(first, std::min(images, g.batch - first), group, columns.data<T>());
}

}  // namespace

void im2col_forward(const Conv2dGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y) {
  const std::int64_t positions = g.out_height() * g.out_width(), patch = g.patch_size(), out = g.group_out();
  if (bias) bias_forward(bias, y);
  visit_floating(x.dtype(), [&]<class T>() {
    const T* w = weight.data<T>();
    T* py = y.data<T>();
    for_each_block<T>(g, [&](std::int64_t first, std::int64_t count, std::int64_t group, T* columns) {
      im2col(g, x.data<T>(), first, count, group, columns);
      gemm(Transpose::no, Transpose::yes, count * positions, out, patch, columns, patch, w + group * out * patch, patch,
           py + first * positions * g.out_channels + group * out, g.out_channels,
           bias ? Write::accumulate : Write::overwrite);
    });
  });
}

void im2col_backward_data(const Conv2dGeometry& g, const Tensor& dy, const Tensor& weight, Tensor& dx, Write mode) {
  const std::int64_t positions = g.out_height() * g.out_width(), patch = g.patch_size(), out = g.group_out();
  if (mode == Write::overwrite) dx.fill_zero();
  visit_floating(dy.dtype(), [&]<class T>() {
    const T* w = weight.data<T>();
    for_each_block<T>(g, [&](std::int64_t first, std::int64_t count, std::int64_t group, T* columns) {
      gemm(Transpose::no, Transpose::no, count * positions, patch, out,
           dy.data<T>() + first * positions * g.out_channels + group * out, g.out_channels, w + group * out * patch,
           patch, columns, patch, Write::overwrite);
      col2im(g, columns, first, count, group, dx.data<T>());
    });
  });
}

void im2col_backward_weight(const Conv2dGeometry& g, const Tensor& dy, const Tensor& x, Tensor& dweight, Write mode) {
  const std::int64_t positions = g.out_height() * g.out_width(), patch = g.patch_size(), out = g.group_out();
  if (mode == Write::overwrite) dweight.fill_zero();
  visit_floating(dy.dtype(), [&]<class T>() {
    T* dw = dweight.data<T>();
    for_each_block<T>(g, [&](std::int64_t first, std::int64_t count, std::int64_t group, T* columns) {
      im2col(g, x.data<T>(), first, count, group, columns);
      gemm(Transpose::yes, Transpose::no, out, patch, count * positions,
           dy.data<T>() + first * positions * g.out_channels + group * out, g.out_channels, columns, patch,
           dw + group * out * patch, patch, Write::accumulate);
    });
  });
}

}  // namespace actgrad::kernels
