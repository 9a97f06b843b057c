// The covariance of im2col patches without the im2col matrix, for stride 1.
//
// The matrix consists of blocks (C, C), one for each pair of kernel offsets k = (ky, kx) and k' = (ky', kx'). With v[q]
// the channels of pixel q,
//
//   block(k, k') = 1/rows · Σ_o v[o + k·d − p] · v[o + k'·d − p]ᵀ            over the output positions o of all images
//
// Only pairs of pixels inside of the image count, and the distance of a pair is always δ = (k' − k)·d. So all blocks of
// the same δ are sums over nearly the same pairs: those that their output positions reach. What they share,
//
//   F(δ) = Σ_q v[q] · v[q + δ]ᵀ            over all q for which both pixels lie in the image,
//
// is computed once, and from each block the pairs are subtracted that its output positions do not reach: they lie along
// the borders. A 3×3 kernel has 45 blocks on and above the diagonal, but 13 different δ. (Where a block reaches less
// than half of the pairs, in small images without padding, it is summed up by itself.)
#include <algorithm>
#include <vector>

#include "kernels/covariance_paths.h"
#include "kernels/cross_products.h"
#include "kernels/dispatch.h"
#include "kernels/pack.h"
#include "kernels/parallel.h"

namespace actgrad::kernels {
namespace {

// First pixels q of pairs: rows [y.begin, y.end), columns [x.begin, x.end).
struct Rectangle {
  Range y, x;
  std::int64_t size() const { return (y.end - y.begin) * (x.end - x.begin); }
};

// The coordinates q for which q and q + shift lie in [0, size).
Range inside(std::int64_t shift, std::int64_t size) {
  const std::int64_t begin = std::min(size, std::max<std::int64_t>(0, -shift));
  return {begin, std::max(begin, size - std::max<std::int64_t>(0, shift))};
}

// Those in `all` that outputs [0, outputs) reach, whose kernel offset lies at `first` in the image.
Range reached(Range all, std::int64_t first, std::int64_t outputs) {
  const std::int64_t begin = std::clamp(first, all.begin, all.end);
  return {begin, std::clamp(first + outputs, begin, all.end)};
}

struct Offset {
  std::int64_t y, x;
};

// One group of the convolution.
template <class T>
class Shifts {
 public:
  Shifts(const Conv2dGeometry& geometry, const T* x, std::int64_t group)
      : g_(geometry), channels_(g_.group_in()), pixels_(x + group * channels_) {}

  // result (n, n): the blocks, n ≥ d.
  void write(T* result, std::int64_t n) {
    sum_over_images();
    const std::int64_t offsets = g_.kernel_h * g_.kernel_w;
    std::vector<std::pair<std::int64_t, std::int64_t>> blocks;
    for (std::int64_t k = 0; k < offsets; ++k)
      for (std::int64_t other = k; other < offsets; ++other) blocks.emplace_back(k, other);
    const std::int64_t count = static_cast<std::int64_t>(blocks.size());
    parallel_for(count, 1 + (1 << 16) / (1 + channels_ * channels_ * g_.batch), [&](Range range, int) {
      for (std::int64_t i = range.begin; i < range.end; ++i)
        write_block(blocks[static_cast<std::size_t>(i)].first, blocks[static_cast<std::size_t>(i)].second, result, n);
    });
  }

 private:
  std::int64_t row() const { return g_.width * g_.in_channels; }
  Offset offset(std::int64_t k) const { return {k / g_.kernel_w * g_.dilation, k % g_.kernel_w * g_.dilation}; }
  Rectangle all_pairs(Offset shift) const { return {inside(shift.y, g_.height), inside(shift.x, g_.width)}; }

  // The place of F(δ) for a δ ≥ 0, reading lines first: those of pairs k ≤ k'.
  std::int64_t place(Offset shift) const { return (shift.y * (2 * g_.kernel_w - 1) + shift.x) / g_.dilation; }
  std::int64_t shifts() const { return (g_.kernel_h - 1) * (2 * g_.kernel_w - 1) + g_.kernel_w; }

  // sums += factor · Σ v[q] v[q + shift]ᵀ over the rectangle in the images [first, last).
  void add(Range images, const Rectangle& pairs, Offset shift, bool upper, T factor, T* sums, std::int64_t ld) const {
    if (pairs.size() == 0) return;
    const std::int64_t image = g_.height * row(), to_other = shift.y * row() + shift.x * g_.in_channels;
    const T* const first = pixels_ + images.begin * image + pairs.y.begin * row() + pairs.x.begin * g_.in_channels;
    const std::int64_t height = pairs.y.end - pairs.y.begin, width = pairs.x.end - pairs.x.begin;
    const auto add_runs = [&](const T* from, std::int64_t runs, std::int64_t run_step, std::int64_t length,
                              std::int64_t step) {
      add_cross_products<T>({from, step, run_step}, channels_, {from + to_other, step, run_step}, channels_, runs,
                            length, factor, sums, ld, upper);
    };
    const std::int64_t count = images.end - images.begin;
    // The sums are loaded and stored once per call: a call has many pairs, as they lie in memory where there are
    // enough.
    if (height > 4 && width > 4)
      for (std::int64_t n = 0; n < count; ++n) add_runs(first + n * image, height, row(), width, g_.in_channels);
    else if (height < width)
      for (std::int64_t y = 0; y < height; ++y) add_runs(first + y * row(), count, image, width, g_.in_channels);
    else
      for (std::int64_t x = 0; x < width; ++x) add_runs(first + x * g_.in_channels, count, image, height, row());
  }

  void sum_over_images() {
    const std::int64_t size = channels_ * channels_, products = g_.height * g_.width * size * shifts();
    const std::int64_t grain = 1 + (1 << 18) / (1 + products);
    const Tensor parts = Tensor::zeros({threads_for(g_.batch, grain), shifts(), size}, dtype_of<T>::value);
    sums_ = parts.slice(0, 1);
    parallel_for(g_.batch, grain, [&](Range range, int thread) {
      T* const sums = parts.data<T>() + thread * shifts() * size;
      for (std::int64_t n = range.begin; n < range.end; ++n)
        for (std::int64_t y = 0; y < g_.kernel_h; ++y)
          for (std::int64_t x = y == 0 ? 0 : 1 - g_.kernel_w; x < g_.kernel_w; ++x) {
            const Offset shift{y * g_.dilation, x * g_.dilation};
            add({n, n + 1}, all_pairs(shift), shift, y == 0 && x == 0, T(1), sums + place(shift) * size, channels_);
          }
    });
    T* const total = parts.data<T>();
    for (std::int64_t part = 1; part < parts.dim(0); ++part)
      for (std::int64_t i = 0; i < shifts() * size; ++i) total[i] += total[part * shifts() * size + i];
  }

  // block(k, k') for k ≤ k', and its mirror image.
  void write_block(std::int64_t k, std::int64_t other, T* result, std::int64_t n) const {
    const Offset here = offset(k), there = offset(other), shift{there.y - here.y, there.x - here.x};
    const Rectangle all = all_pairs(shift);
    const Rectangle seen{reached(all.y, here.y - g_.padding, g_.out_height()),
                         reached(all.x, here.x - g_.padding, g_.out_width())};
    const Range images{0, g_.batch};
    const bool diagonal = k == other;
    T* const to = result + k * channels_ * n + other * channels_;
    const bool by_itself = 2 * seen.size() < all.size();
    const T* const shared = sums_.data<T>() + place(shift) * channels_ * channels_;
    for (std::int64_t i = 0; i < channels_; ++i)
      for (std::int64_t j = 0; j < channels_; ++j) to[i * n + j] = by_itself ? T(0) : shared[i * channels_ + j];
    if (by_itself) {
      add(images, seen, shift, diagonal, T(1), to, n);
    } else {
      const Range left{all.x.begin, seen.x.begin}, right{seen.x.end, all.x.end};
      for (const Rectangle& border :
           {Rectangle{{all.y.begin, seen.y.begin}, all.x}, Rectangle{{seen.y.end, all.y.end}, all.x},
            Rectangle{seen.y, left}, Rectangle{seen.y, right}})
        add(images, border, shift, diagonal, T(-1), to, n);
    }
    const T factor = T(1) / static_cast<T>(g_.batch * g_.out_height() * g_.out_width());
    T* const mirrored = result + other * channels_ * n + k * channels_;
    for (std::int64_t i = 0; i < channels_; ++i)
      for (std::int64_t j = diagonal ? i : 0; j < channels_; ++j)
        mirrored[j * n + i] = to[i * n + j] = to[i * n + j] * factor;
  }

  const Conv2dGeometry g_;
  const std::int64_t channels_;
  const T* const pixels_;  // the group's channels of the first pixel
  Tensor sums_;            // F, at place(δ)
};

}  // namespace

bool shifts_pay(const Conv2dGeometry& g, DType dtype) {
  const std::int64_t lanes = static_cast<std::int64_t>(pack_bytes / size_of(dtype));
  return g.stride == 1 && g.group_in() % lanes == 0;
}

void covariance_by_shifts(const Conv2dGeometry& g, const Tensor& x, bool ones, Tensor& result) {
  const std::int64_t n = result.dim(1);
  visit_floating(x.dtype(), [&]<class T>() {
    for (std::int64_t group = 0; group < g.groups; ++group)
      Shifts<T>(g, x.data<T>(), group).write(result.data<T>() + group * n * n, n);
  });
  if (ones) write_means(g, x, result);
}

}  // namespace actgrad::kernels
