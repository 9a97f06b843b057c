#include "kernels/augment.h"

#include "kernels/augment_formulas.h"
#include "kernels/cuda/runtime.h"
#include "kernels/dispatch.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

struct Images {
  std::int64_t number, height, width, channels;
};

// One block per image at a time. Which pixel becomes which is found from the result: pixel (y, x) comes from row
// top + y and column left + x, or, mirrored, left + width − 1 − x; outside of the image lies padding, the pixel 0.
// table: (channels, 256), every value that a pixel can have.
template <class T>
__global__ void gather_kernel(Images all, const std::uint8_t* pixels, const std::int32_t* order,
                              const DataPosition* position, std::int64_t offset, std::int64_t count, const T* table,
                              Augmentation augmentation, T* y) {
  ACTGRAD_DYNAMIC_SHARED(T, values);
  for (int i = static_cast<int>(threadIdx.x); i < all.channels * 256; i += static_cast<int>(blockDim.x))
    values[i] = table[i];
  __syncthreads();

  const std::int64_t size = all.height * all.width * all.channels;
  for (std::int64_t image = blockIdx.x; image < count; image += gridDim.x) {
    const std::int32_t index = order[position->first + offset + image];
    if (index < 0 || index >= all.number) __trap();
    const formulas::Placement place = formulas::draw_placement(augmentation, position->epoch, index);
    for (std::int64_t e = threadIdx.x; e < size; e += blockDim.x) {
      const std::int64_t c = e % all.channels, x = e / all.channels % all.width, row = e / all.channels / all.width;
      const std::int64_t from_y = place.top + row, from_x = place.left + (place.flip ? all.width - 1 - x : x);
      const bool inside = from_y >= 0 && from_y < all.height && from_x >= 0 && from_x < all.width;
      const int pixel = inside ? pixels[index * size + (from_y * all.width + from_x) * all.channels + c] : 0;
      y[image * size + e] = values[c * 256 + pixel];
    }
  }
}

__global__ void gather_labels_kernel(std::int64_t number, const std::int32_t* labels, const std::int32_t* order,
                                     const DataPosition* position, std::int64_t offset, std::int64_t count,
                                     std::int32_t* y) {
  for (std::int64_t i = cuda::first_element(); i < count; i += cuda::element_step()) {
    const std::int32_t index = order[position->first + offset + i];
    if (index < 0 || index >= number) __trap();
    y[i] = labels[index];
  }
}

void gather_images_on_device(const Tensor& images, const Tensor& order, const StepValue<DataPosition>& position,
                             std::int64_t offset, const Tensor& table, const Augmentation& augmentation, Tensor& y) {
  for (const Tensor& other : {order, table, y})
    ACTGRAD_CHECK(other.device() == images.device(), "images and batch lie on different devices");
  ACTGRAD_CHECK(table.bytes() <= 48 << 10, "images of " + std::to_string(images.dim(3)) + " channels");
  if (y.numel() == 0) return;
  const Images all{images.dim(0), images.dim(1), images.dim(2), images.dim(3)};
  visit_floating(y.dtype(), [&]<class T>() {
    cuda::launch(gather_kernel<T>, cuda::blocks_for(y.dim(0), 1), cuda::block_size, table.bytes(), cuda::stream(), all,
                 images.data<std::uint8_t>(), order.data<std::int32_t>(), position.on_device(), offset, y.dim(0),
                 table.data<T>(), augmentation, y.data<T>());
  });
}

void gather_labels_on_device(const Tensor& labels, const Tensor& order, const StepValue<DataPosition>& position,
                             std::int64_t offset, Tensor& y) {
  if (y.numel() == 0) return;
  cuda::launch(gather_labels_kernel, cuda::blocks_for(y.numel()), cuda::block_size, 0, cuda::stream(), labels.numel(),
               labels.data<std::int32_t>(), order.data<std::int32_t>(), position.on_device(), offset, y.numel(),
               y.data<std::int32_t>());
}

}  // namespace

ACTGRAD_CUDA_KERNEL(gather_images, gather_images_on_device);
ACTGRAD_CUDA_KERNEL(gather_labels, gather_labels_on_device);

}  // namespace actgrad::kernels
