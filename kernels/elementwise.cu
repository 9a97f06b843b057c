#include "kernels/elementwise.h"

#include "core/random.h"
#include "kernels/bfloat16.h"
#include "kernels/cuda/elementwise.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/dispatch.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

using cuda::In;
using cuda::InOut;
using cuda::Out;

// y = value(x…) or y += value(x…), elementwise.
template <class T, class Value, class... Inputs>
void write_each(Tensor& y, Write mode, const Value& value, In<Inputs>... inputs) {
  if (mode == Write::overwrite)
    cuda::for_each_element(
        y.numel(), [=] __device__(T & out, const Inputs&... in) { out = value(in...); }, Out<T>{y.data<T>()},
        inputs...);
  else
    cuda::for_each_element(
        y.numel(), [=] __device__(T & out, const Inputs&... in) { out += value(in...); }, InOut<T>{y.data<T>()},
        inputs...);
}

template <class T>
In<T> in(const Tensor& x) {
  return {x.data<T>()};
}

template <class T>
void relu_forward_of(const Tensor& x, Tensor& y) {
  write_each<T>(
      y, Write::overwrite, [] __device__(T v) { return v < T(0) ? T(0) : v; }, in<T>(x));
}

template <class T>
void relu_backward_of(const Tensor& dy, const Tensor& y, Tensor& dx, Write mode) {
  write_each<T>(
      dx, mode, [] __device__(T gradient, T out) { return out > T(0) ? gradient : T(0); }, in<T>(dy), in<T>(y));
}

template <class T>
void add_of(const Tensor& a, const Tensor& b, Tensor& y) {
  write_each<T>(
      y, Write::overwrite, [] __device__(T left, T right) { return left + right; }, in<T>(a), in<T>(b));
}

template <class T>
void copy_of(const Tensor& x, Tensor& y, Write mode) {
  write_each<T>(
      y, mode, [] __device__(T v) { return v; }, in<T>(x));
}

template <class T>
void scale_of(Tensor& x, double factor) {
  cuda::for_each_element(
      x.numel(), [a = T(factor)] __device__(T & v) { v *= a; }, InOut<T>{x.data<T>()});
}

template <class T>
void mix_of(Tensor& x, double a, const Tensor& y, double b) {
  cuda::for_each_element(
      x.numel(), [own = T(a), other = T(b)] __device__(T & v, const T& w) { v = own * v + other * w; },
      InOut<T>{x.data<T>()}, in<T>(y));
}

template <class T>
void fill_of(Tensor& x, double value) {
  cuda::for_each_element(
      x.numel(), [v = T(value)] __device__(T & out) { out = v; }, Out<T>{x.data<T>()});
}

template <class From, class To>
void cast_elements(const Tensor& x, Tensor& y, Write mode) {
  const auto value = [] __device__(From v) { return formulas::converted<To>(v); };
  if constexpr (std::is_same_v<To, bfloat16>) {
    ACTGRAD_CHECK(mode == Write::overwrite, "no sums in bfloat16");
    cuda::for_each_element(
        y.numel(), [=] __device__(To & out, const From& v) { out = value(v); }, Out<To>{y.data<To>()}, in<From>(x));
  } else {
    write_each<To>(y, mode, value, in<From>(x));
  }
}
void cast_any(const Tensor& x, Tensor& y, Write mode) {
  visit_any_floating(x.dtype(), [&]<class From>() {
    visit_any_floating(y.dtype(), [&]<class To>() { cast_elements<From, To>(x, y, mode); });
  });
}

// Σ term(x[i]), back on the host: waits for the device.
template <class T, class Term>
double total(const Tensor& x, const Term& term) {
  const Tensor result = Tensor::empty({1}, DType::float64, x.device());
  const T* const values = x.data<T>();
  double* const to = result.data<double>();
  cuda::reduce(
      x.numel(), [=] __device__(std::int64_t i) { return term(static_cast<double>(values[i])); },
      [=] __device__(double sum) { *to = sum; });
  return result.to_vector<double>().front();
}

template <class T>
double sum_of(const Tensor& x) {
  return total<T>(x, [] __device__(double v) { return v; });
}

template <class T>
double sum_of_squares_of(const Tensor& x) {
  return total<T>(x, [] __device__(double v) { return v * v; });
}

template <class T>
bool all_finite_of(const Tensor& x) {
  return total<T>(x, [] __device__(double v) { return v - v == 0 ? 0.0 : 1.0; }) == 0;  // ∞ − ∞ and NaN are NaN
}

// The element's mask: word e % 4 of Philox block e / 4, as on the CPU.
struct Mask {
  std::uint64_t seed, offset, threshold;
  const std::uint64_t* first;
  Mask(double keep, const RandomStream& stream)
      : seed(stream.seed),
        offset(stream.offset),
        threshold(static_cast<std::uint64_t>(keep * 0x1p32)),
        first(stream.first.on_device()) {}
  __device__ bool keeps(std::int64_t e) const {
    const Random random(seed, Purpose::dropout, *first + offset);
    return random.block(static_cast<std::uint64_t>(e / 4))[static_cast<std::size_t>(e % 4)] < threshold;
  }
};

template <class T>
__global__ void dropout_kernel(std::int64_t n, const T* x, Mask mask, T gain, T* y, bool accumulate) {
  for (std::int64_t e = cuda::first_element(); e < n; e += cuda::element_step()) {
    const T value = mask.keeps(e) ? x[e] * gain : T(0);
    y[e] = accumulate ? y[e] + value : value;
  }
}

template <class T>
void drop(const Tensor& x, double keep, const RandomStream& stream, Tensor& y, bool accumulate) {
  ACTGRAD_CHECK(keep > 0 && keep <= 1, "dropout keeps " + std::to_string(keep));
  if (x.numel() == 0) return;
  cuda::launch(dropout_kernel<T>, cuda::blocks_for(x.numel()), cuda::block_size, 0, cuda::stream(), x.numel(),
               x.data<T>(), Mask(keep, stream), T(1 / keep), y.data<T>(), accumulate);
}

template <class T>
void dropout_forward_of(const Tensor& x, double keep, const RandomStream& stream, Tensor& y) {
  drop<T>(x, keep, stream, y, false);
}
template <class T>
void dropout_backward_of(const Tensor& dy, double keep, const RandomStream& stream, Tensor& dx, Write mode) {
  drop<T>(dy, keep, stream, dx, mode == Write::accumulate);
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(relu_forward, relu_forward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(relu_backward, relu_backward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(add, add_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(copy, copy_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(scale, scale_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(mix, mix_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(fill, fill_of);
ACTGRAD_CUDA_KERNEL(cast, cast_any);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(sum, sum_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(sum_of_squares, sum_of_squares_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(all_finite, all_finite_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(dropout_forward, dropout_forward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(dropout_backward, dropout_backward_of);

}  // namespace actgrad::kernels
