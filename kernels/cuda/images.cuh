// A function applied to every pixel and channel of NHWC images.
#pragma once

#include "kernels/cuda/group.cuh"

namespace actgrad::cuda {

template <int Width, class F>
__global__ void for_each_pixel_kernel(std::int64_t groups, std::int64_t height, std::int64_t width,
                                      std::int64_t channel_groups, F f) {
  for (std::int64_t i = first_element(); i < groups; i += element_step()) {
    const std::int64_t pixel = i / channel_groups, c = i % channel_groups * Width;
    const std::int64_t row = pixel / width, x = pixel % width;
    f(row / height, row % height, x, c, i * Width);
  }
}

// f(n, y, x, c, offset) for every Width neighbouring channels c… of every pixel of images (N, H, W, C), C a multiple of
// Width; offset: where they lie in memory. The calls must not depend on each other.
template <int Width, class F>
void for_each_pixel(const Shape& images, const F& f) {
  const std::int64_t groups = images.numel() / Width;
  if (groups == 0) return;
  launch(for_each_pixel_kernel<Width, F>, blocks_for(groups), block_size, 0, stream(), groups, images[1], images[2],
         images[3] / Width, f);
}

}  // namespace actgrad::cuda
