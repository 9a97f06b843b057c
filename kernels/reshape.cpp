#include "kernels/reshape.h"

#include <algorithm>
#include <cstring>

#include "kernels/dispatch.h"
#include "kernels/flat.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

// Calls body(n, begin of image n in x and y) … for every image, several images per thread when they are small.
template <class Body>
void for_each_image(std::int64_t images, std::int64_t elements_per_image, const Body& body) {
  parallel_for(images, std::max<std::int64_t>(1, flat_grain / std::max<std::int64_t>(1, elements_per_image)),
               [&](Range range, int) {
                 for (std::int64_t n = range.begin; n < range.end; ++n) body(n);
               });
}

template <class T>
void write(T& target, T value, Write mode) {
  target = mode == Write::overwrite ? value : target + value;
}

void check_subsample(const Tensor& big, const Tensor& small, std::int64_t before) {
  ACTGRAD_CHECK(big.rank() == 4 && small.rank() == 4 && small.dim(0) == big.dim(0) &&
                    small.dim(1) == (big.dim(1) + 1) / 2 && small.dim(2) == (big.dim(2) + 1) / 2 && before >= 0 &&
                    small.dim(3) >= big.dim(3) + before && big.dtype() == small.dtype(),
                big.shape().to_string() + " and " + small.shape().to_string());
}

// (O, first, second) → (O, second, first): elements of `Bytes` bytes.
template <std::size_t Bytes>
void swap_inner(const char* from, char* to, std::int64_t outer, std::int64_t first, std::int64_t second) {
  for (std::int64_t o = 0; o < outer; ++o, from += first * second * std::int64_t{Bytes})
    for (std::int64_t j = 0; j < second; ++j)
      for (std::int64_t i = 0; i < first; ++i, to += Bytes)
        std::memcpy(to, from + (i * second + j) * std::int64_t{Bytes}, Bytes);
}

Tensor swap_inner(const Tensor& x, std::int64_t first, std::int64_t second, const Shape& result) {
  Tensor y = Tensor::empty(result, x.dtype(), x.device());
  if (x.numel() == 0) return y;
  const auto* from = static_cast<const char*>(x.raw());
  auto* to = static_cast<char*>(y.raw());
  switch (size_of(x.dtype())) {
    case 1: swap_inner<1>(from, to, x.dim(0), first, second); break;
    case 2: swap_inner<2>(from, to, x.dim(0), first, second); break;
    case 4: swap_inner<4>(from, to, x.dim(0), first, second); break;
    case 8: swap_inner<8>(from, to, x.dim(0), first, second); break;
    default: ACTGRAD_CHECK(false, "element size");
  }
  return y;
}

}  // namespace

void flatten_forward(const Tensor& x, Tensor& y) {
  ACTGRAD_CHECK(x.rank() == 4 && y.numel() == x.numel() && y.dim(0) == x.dim(0),
                x.shape().to_string() + " to " + y.shape().to_string());
  const std::int64_t positions = x.dim(1) * x.dim(2), channels = x.dim(3);
  ACTGRAD_DISPATCH(flatten_forward, x, x, y);
  visit_floating(x.dtype(), [&]<class T>() {
    const T* const in = x.data<T>();
    T* const out = y.data<T>();
    for_each_image(x.dim(0), positions * channels, [=](std::int64_t n) {
      const T* const from = in + n * positions * channels;
      T* const to = out + n * positions * channels;
      for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t p = 0; p < positions; ++p) to[c * positions + p] = from[p * channels + c];
    });
  });
}

void flatten_backward(const Tensor& dy, Tensor& dx, Write mode) {
  ACTGRAD_CHECK(dx.rank() == 4 && dy.numel() == dx.numel() && dy.dim(0) == dx.dim(0),
                dy.shape().to_string() + " to " + dx.shape().to_string());
  const std::int64_t positions = dx.dim(1) * dx.dim(2), channels = dx.dim(3);
  ACTGRAD_DISPATCH(flatten_backward, dy, dy, dx, mode);
  visit_floating(dy.dtype(), [&]<class T>() {
    const T* const in = dy.data<T>();
    T* const out = dx.data<T>();
    for_each_image(dx.dim(0), positions * channels, [=](std::int64_t n) {
      const T* const from = in + n * positions * channels;
      T* const to = out + n * positions * channels;
      for (std::int64_t p = 0; p < positions; ++p)
        for (std::int64_t c = 0; c < channels; ++c) write(to[p * channels + c], from[c * positions + p], mode);
    });
  });
}

void subsample_pad_forward(const Tensor& x, std::int64_t before, Tensor& y) {
  check_subsample(x, y, before);
  const std::int64_t height = y.dim(1), width = y.dim(2), in_width = x.dim(2), in_channels = x.dim(3),
                     channels = y.dim(3);
  ACTGRAD_DISPATCH(subsample_pad_forward, x, x, before, y);
  visit_floating(x.dtype(), [&]<class T>() {
    const T* const in = x.data<T>();
    T* const out = y.data<T>();
    const std::int64_t in_image = x.dim(1) * in_width * in_channels;
    for_each_image(x.dim(0), height * width * channels, [=](std::int64_t n) {
      T* to = out + n * height * width * channels;
      for (std::int64_t oy = 0; oy < height; ++oy)
        for (std::int64_t ox = 0; ox < width; ++ox, to += channels) {
          const T* const from = in + n * in_image + (2 * oy * in_width + 2 * ox) * in_channels;
          std::fill(to, to + before, T(0));
          std::copy(from, from + in_channels, to + before);
          std::fill(to + before + in_channels, to + channels, T(0));
        }
    });
  });
}

void subsample_pad_backward(const Tensor& dy, std::int64_t before, Tensor& dx, Write mode) {
  check_subsample(dx, dy, before);
  const std::int64_t height = dx.dim(1), width = dx.dim(2), channels = dx.dim(3), out_width = dy.dim(2),
                     out_channels = dy.dim(3);
  ACTGRAD_DISPATCH(subsample_pad_backward, dy, dy, before, dx, mode);
  visit_floating(dy.dtype(), [&]<class T>() {
    const T* const in = dy.data<T>();
    T* const out = dx.data<T>();
    const std::int64_t in_image = dy.dim(1) * out_width * out_channels;
    for_each_image(dx.dim(0), height * width * channels, [=](std::int64_t n) {
      T* to = out + n * height * width * channels;
      for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x, to += channels) {
          if (y % 2 == 0 && x % 2 == 0) {
            const T* const from = in + n * in_image + (y / 2 * out_width + x / 2) * out_channels + before;
            for (std::int64_t c = 0; c < channels; ++c) write(to[c], from[c], mode);
          } else if (mode == Write::overwrite) {
            std::fill(to, to + channels, T(0));
          }
        }
    });
  });
}

void concat_channels(const Tensor& a, const Tensor& b, Tensor& y) {
  const std::int64_t first = a.dim(-1), second = b.dim(-1), all = y.dim(-1), rows = all ? y.numel() / all : 0;
  ACTGRAD_CHECK(all == first + second && a.numel() == rows * first && b.numel() == rows * second &&
                    a.dtype() == y.dtype() && b.dtype() == y.dtype(),
                a.shape().to_string() + " and " + b.shape().to_string() + " to " + y.shape().to_string());
  ACTGRAD_DISPATCH(concat_channels, y, a, b, y);
  visit_floating(y.dtype(), [&]<class T>() {
    const T *const in_front = a.data<T>(), *const behind = b.data<T>();
    T* const out = y.data<T>();
    for_each_image(rows, all, [=](std::int64_t r) {
      std::copy_n(in_front + r * first, first, out + r * all);
      std::copy_n(behind + r * second, second, out + r * all + first);
    });
  });
}

void slice_channels(const Tensor& x, std::int64_t first, Tensor& y, Write mode) {
  const std::int64_t all = x.dim(-1), part = y.dim(-1), rows = all ? x.numel() / all : 0;
  ACTGRAD_CHECK(first >= 0 && first + part <= all && y.numel() == rows * part && x.dtype() == y.dtype(),
                y.shape().to_string() + " from " + x.shape().to_string());
  ACTGRAD_DISPATCH(slice_channels, x, x, first, y, mode);
  visit_floating(x.dtype(), [&]<class T>() {
    const T* const in = x.data<T>() + first;
    T* const out = y.data<T>();
    for_each_image(rows, part, [=](std::int64_t r) {
      for (std::int64_t c = 0; c < part; ++c) write(out[r * part + c], in[r * all + c], mode);
    });
  });
}

Tensor ohwi_to_oihw(const Tensor& weight) {
  ACTGRAD_CHECK(weight.rank() == 4, weight.shape().to_string());
  ACTGRAD_DISPATCH(ohwi_to_oihw, weight, weight);
  const std::int64_t o = weight.dim(0), h = weight.dim(1), w = weight.dim(2), i = weight.dim(3);
  return swap_inner(weight, h * w, i, {o, i, h, w});
}

Tensor oihw_to_ohwi(const Tensor& weight) {
  ACTGRAD_CHECK(weight.rank() == 4, weight.shape().to_string());
  ACTGRAD_DISPATCH(oihw_to_ohwi, weight, weight);
  const std::int64_t o = weight.dim(0), i = weight.dim(1), h = weight.dim(2), w = weight.dim(3);
  return swap_inner(weight, i, h * w, {o, h, w, i});
}

}  // namespace actgrad::kernels
