#include "kernels/augment.h"

#include <algorithm>

#include "kernels/augment_formulas.h"
#include "kernels/cuda/runtime.h"
#include "kernels/dispatch.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

constexpr int most_channels = 16;  // so that a block's table fits its shared memory

struct Images {
  std::int64_t number, height, width, channels;
  double mean[most_channels], std[most_channels];
};

// One block per image at a time. Which pixel becomes which is found from the result: pixel (y, x) comes from row
// top + y and column left + x, or, mirrored, left + width − 1 − x; outside of the image lies padding, the pixel 0.
template <class T>
__global__ void gather_kernel(Images all, const std::uint8_t* pixels, const std::int32_t* indices, std::int64_t count,
                              Augmentation augmentation, T* y) {
  ACTGRAD_DYNAMIC_SHARED(T, table);  // (channels, 256): every value that a pixel can have
  for (int i = static_cast<int>(threadIdx.x); i < all.channels * 256; i += static_cast<int>(blockDim.x))
    table[i] = formulas::normalised_pixel<T>(i % 256, all.mean[i / 256], all.std[i / 256]);
  __syncthreads();

  const std::int64_t size = all.height * all.width * all.channels;
  for (std::int64_t image = blockIdx.x; image < count; image += gridDim.x) {
    const std::int32_t index = indices[image];
    if (index < 0 || index >= all.number) __trap();
    const formulas::Placement place = formulas::draw_placement(augmentation, index);
    for (std::int64_t e = threadIdx.x; e < size; e += blockDim.x) {
      const std::int64_t c = e % all.channels, x = e / all.channels % all.width, row = e / all.channels / all.width;
      const std::int64_t from_y = place.top + row, from_x = place.left + (place.flip ? all.width - 1 - x : x);
      const bool inside = from_y >= 0 && from_y < all.height && from_x >= 0 && from_x < all.width;
      const int pixel = inside ? pixels[index * size + (from_y * all.width + from_x) * all.channels + c] : 0;
      y[image * size + e] = table[c * 256 + pixel];
    }
  }
}

void gather_on_device(const Tensor& images, const std::int32_t* indices, std::int64_t count,
                      const std::vector<double>& mean, const std::vector<double>& std, const Augmentation& augmentation,
                      Tensor& y) {
  Images all{images.dim(0), images.dim(1), images.dim(2), images.dim(3), {}, {}};
  ACTGRAD_CHECK(all.channels <= most_channels, "images of " + std::to_string(all.channels) + " channels");
  ACTGRAD_CHECK(y.device() == images.device(), "images and batch lie on different devices");
  if (y.numel() == 0) return;
  std::copy(mean.begin(), mean.end(), all.mean);
  std::copy(std.begin(), std.end(), all.std);
  visit_floating(y.dtype(), [&]<class T>() {
    cuda::launch(gather_kernel<T>, cuda::blocks_for(count, 1), cuda::block_size,
                 static_cast<std::size_t>(all.channels) * 256 * sizeof(T), cuda::stream(), all,
                 images.data<std::uint8_t>(), indices, count, augmentation, y.data<T>());
  });
}

}  // namespace

ACTGRAD_CUDA_KERNEL(gather_images, gather_on_device);

}  // namespace actgrad::kernels
