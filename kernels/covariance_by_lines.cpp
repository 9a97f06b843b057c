// The covariance of im2col patches without the im2col matrix, for stride 1 and few channels: the first layers of a
// network.
//
// With v[y, x] the channels of a pixel, zero outside of the image, the matrix has a block (C, C) for each pair of
// kernel offsets (ky, kx) and (ky + δy, kx + δx):
//
//   block = 1/rows · Σ_{y ∈ Y(ky)} Σ_{x ∈ X(kx)} v[y, x] · v[y + δy, x + δx]ᵀ        over all images
//
// where Y(ky) and X(kx) are the lines and columns that the outputs see through that offset. Few channels fill no vector
// register, but a window of a line does: the pixels x − (KW − 1) … x + KW − 1 of line y + δy lie side by side, and one
// outer product of v[y, x] with that window (C, (2·KW − 1)·C) serves every δx. The columns fall into segments at the
// ends of all the X(kx). So the products are summed once for each line, δy and segment,
//
//   L(y, δy, s) = Σ_{x ∈ s} v[y, x] · window[y + δy, x]ᵀ
//
// and a block adds up those of its lines and segments: nothing is computed twice, nothing subtracted. For a 5×5 kernel
// on 3 channels that is a sixth of the matrix's products.
#include <algorithm>
#include <vector>

#include "kernels/covariance_paths.h"
#include "kernels/cross_products.h"
#include "kernels/dispatch.h"
#include "kernels/parallel.h"

namespace actgrad::kernels {
namespace {

constexpr std::int64_t chunk_bytes = 16 << 10;  // of a line of several images, which stay in the first-level cache

// The coordinates in [0, size) that `outputs` positions see through offset k of the kernel.
Range seen(std::int64_t k, std::int64_t padding, std::int64_t outputs, std::int64_t size) {
  const std::int64_t begin = std::clamp<std::int64_t>(k - padding, 0, size);
  return {begin, std::clamp(k - padding + outputs, begin, size)};
}

// The numbers of a window, in whole packs.
std::int64_t window_of(const Conv2dGeometry& g, DType dtype) {
  return whole_packs((2 * g.kernel_w - 1) * g.group_in(), dtype);
}

// One group of the convolution.
template <class T>
class Lines {
 public:
  Lines(const Conv2dGeometry& geometry, const T* x, std::int64_t group)
      : g_(geometry),
        channels_(g_.group_in()),
        margin_(g_.kernel_w - 1),
        line_((g_.width + 2 * margin_) * channels_),
        window_(window_of(g_, dtype_of<T>::value)) {
    for (std::int64_t kx = 0; kx < g_.kernel_w; ++kx) {
      const Range columns = seen(kx, g_.padding, g_.out_width(), g_.width);
      ends_.insert(ends_.end(), {columns.begin, columns.end});
    }
    std::sort(ends_.begin(), ends_.end());
    ends_.erase(std::unique(ends_.begin(), ends_.end()), ends_.end());
    copy_lines(x + group * channels_);
    sum_lines();
  }

  // result (n, n): the blocks, n ≥ d.
  void write(T* result, std::int64_t n) const {
    parallel_for(g_.kernel_h * g_.kernel_h, grain(g_.height * part_size()), [&](Range range, int) {
      std::vector<T> of_lines(static_cast<std::size_t>(part_size()));
      for (std::int64_t i = range.begin; i < range.end; ++i) {
        const std::int64_t ky = i / g_.kernel_h, shift = i % g_.kernel_h;
        if (ky + shift >= g_.kernel_h) continue;
        std::fill(of_lines.begin(), of_lines.end(), T(0));
        const Range lines = seen(ky, g_.padding, g_.out_height(), g_.height);
        for (std::int64_t y = lines.begin; y < lines.end; ++y) {
          const T* const part = part_of(y, shift);
          for (std::size_t j = 0; j < of_lines.size(); ++j) of_lines[j] += part[j];
        }
        write_blocks(ky, shift, of_lines.data(), result, n);
      }
    });
    const std::int64_t d = g_.patch_size();
    for (std::int64_t i = 0; i < d; ++i)
      for (std::int64_t j = i + 1; j < d; ++j) result[j * n + i] = result[i * n + j];
  }

 private:
  static std::int64_t grain(std::int64_t products) { return 1 + (1 << 18) / (1 + products); }
  std::int64_t segments() const { return static_cast<std::int64_t>(ends_.size()) - 1; }
  std::int64_t part_size() const { return segments() * channels_ * window_; }
  const T* part_of(std::int64_t y, std::int64_t shift) const {  // L(y, δy, s) for all s
    return sums_.data<T>() + (y * g_.kernel_h + shift) * part_size();
  }

  // The lines of all images with zeros before and behind them, as far as windows reach.
  void copy_lines(const T* x) {
    const std::int64_t lines = g_.batch * g_.height;
    const std::int64_t margin = margin_ * channels_;
    lines_ = Tensor::empty({lines * line_ + window_}, dtype_of<T>::value);  // windows are read in whole packs
    std::fill_n(lines_.data<T>() + lines * line_, window_, T(0));
    parallel_for(lines, grain(line_), [&](Range range, int) {
      for (std::int64_t line = range.begin; line < range.end; ++line) {
        const T* from = x + line * g_.width * g_.in_channels;
        T* to = lines_.data<T>() + line * line_;
        std::fill_n(to, margin, T(0));
        std::fill_n(to + line_ - margin, margin, T(0));
        to += margin;
        if (g_.groups == 1)
          std::copy_n(from, g_.width * channels_, to);
        else
          for (std::int64_t i = 0; i < g_.width; ++i, from += g_.in_channels, to += channels_)
            std::copy_n(from, channels_, to);
      }
    });
  }

  void sum_lines() {
    sums_ = Tensor::zeros({g_.height * g_.kernel_h * part_size()}, dtype_of<T>::value);
    const std::int64_t image = g_.height * line_;
    const std::int64_t chunk = std::max<std::int64_t>(1, chunk_bytes / (line_ * static_cast<std::int64_t>(sizeof(T))));
    parallel_for(g_.height * g_.kernel_h, grain(g_.batch * g_.width * channels_ * window_), [&](Range range, int) {
      for (std::int64_t i = range.begin; i < range.end; ++i) {
        const std::int64_t y = i / g_.kernel_h, shift = i % g_.kernel_h;
        if (y + shift >= g_.height) continue;
        for (std::int64_t n = 0; n < g_.batch; n += chunk)
          for (std::int64_t s = 0; s < segments(); ++s) {
            const std::size_t at = static_cast<std::size_t>(s);
            const T* const line = lines_.data<T>() + n * image + y * line_ + ends_[at] * channels_;
            add_cross_products<T>({line + margin_ * channels_, channels_, image}, channels_,
                                  {line + shift * line_, channels_, image}, window_, std::min(chunk, g_.batch - n),
                                  ends_[at + 1] - ends_[at], T(1),
                                  sums_.data<T>() + i * part_size() + s * channels_ * window_, window_);
          }
      }
    });
  }

  // The blocks of (ky, kx) and (ky + shift, kx') for all kx and kx'. With shift 0 that is also those below the
  // diagonal, which count for nothing.
  void write_blocks(std::int64_t ky, std::int64_t shift, const T* of_lines, T* result, std::int64_t n) const {
    const T factor = T(1) / static_cast<T>(g_.batch * g_.out_height() * g_.out_width());
    const std::int64_t count = g_.kernel_w * channels_;
    for (std::int64_t kx = 0; kx < g_.kernel_w; ++kx) {
      const Range columns = seen(kx, g_.padding, g_.out_width(), g_.width);
      for (std::int64_t i = 0; i < channels_; ++i) {
        T* const to = result + ((ky * g_.kernel_w + kx) * channels_ + i) * n + (ky + shift) * count;
        std::fill_n(to, count, T(0));
        for (std::int64_t s = 0; s < segments(); ++s) {
          const std::size_t at = static_cast<std::size_t>(s);
          if (ends_[at] < columns.begin || ends_[at + 1] > columns.end) continue;
          // Of the window, what begins at kx' = 0: δx = −kx.
          const T* const from = of_lines + (s * channels_ + i) * window_ + (margin_ - kx) * channels_;
          for (std::int64_t j = 0; j < count; ++j) to[j] += factor * from[j];
        }
      }
    }
  }

  const Conv2dGeometry g_;
  const std::int64_t channels_, margin_, line_, window_;  // margin in pixels, line and window in numbers
  std::vector<std::int64_t> ends_;                        // of the segments, one more than there are
  Tensor lines_, sums_;
};

}  // namespace

bool lines_pay(const Conv2dGeometry& g, DType dtype) {
  if (g.stride != 1 || g.dilation != 1) return false;
  const std::int64_t window = window_of(g, dtype);
  // Products per pixel and channel, here and in the triangle of the matrix; and the sums stay small.
  return window <= 512 && 4 * g.kernel_h * window < g.kernel_h * g.kernel_w * g.patch_size();
}

void covariance_by_lines(const Conv2dGeometry& g, const Tensor& x, bool ones, Tensor& result) {
  const std::int64_t n = result.dim(1);
  visit_floating(x.dtype(), [&]<class T>() {
    for (std::int64_t group = 0; group < g.groups; ++group)
      Lines<T>(g, x.data<T>(), group).write(result.data<T>() + group * n * n, n);
  });
  if (ones) write_means(g, x, result);
}

}  // namespace actgrad::kernels
