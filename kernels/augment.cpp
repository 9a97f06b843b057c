#include "kernels/augment.h"

#include <algorithm>
#include <tuple>

#include "kernels/augment_formulas.h"
#include "kernels/dispatch.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

using formulas::Placement;

// A row of the result: pixel x comes from column left + x of `row`, or, mirrored, from column left + width − 1 − x;
// `row` is nullptr for a padded row. table: 256 normalised values per channel. Channels: the number of channels when
// the compiler shall know it, else 0.
template <std::int64_t Channels, class T>
void copy_row(const std::uint8_t* row, std::int64_t width, std::int64_t channels, const Placement& place,
              const T* table, T* y) {
  if (Channels > 0) channels = Channels;
  // Columns of the result that show the image; the others show padding, which is the pixel 0.
  std::int64_t begin = std::clamp<std::int64_t>(-place.left, 0, width);
  std::int64_t end = std::clamp<std::int64_t>(width - place.left, 0, width);
  if (place.flip) std::tie(begin, end) = std::pair(width - end, width - begin);
  if (!row) begin = end = width;
  const auto pad = [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t x = from; x < to; ++x)
      for (std::int64_t c = 0; c < channels; ++c) y[x * channels + c] = table[c * 256];
  };
  pad(0, begin);
  const std::int64_t step = place.flip ? -1 : 1;
  const std::int64_t first = place.flip ? place.left + width - 1 : place.left;
  for (std::int64_t x = begin; x < end; ++x)
    for (std::int64_t c = 0; c < channels; ++c)
      y[x * channels + c] = table[c * 256 + row[(first + step * x) * channels + c]];
  pad(end, width);
}

// The numbers of `count` images from the position on, checked.
const std::int32_t* chosen_images(const Tensor& order, const DataPosition& position, std::int64_t offset,
                                  std::int64_t count, std::int64_t images) {
  const std::int64_t first = position.first + offset;
  ACTGRAD_CHECK(first >= 0 && first + count <= order.numel(), "a position outside of the data");
  const std::int32_t* const chosen = order.data<std::int32_t>() + first;
  for (std::int64_t i = 0; i < count; ++i)
    ACTGRAD_CHECK(chosen[i] >= 0 && chosen[i] < images, "image " + std::to_string(chosen[i]));
  return chosen;
}

}  // namespace

Tensor normalisation_table(const std::vector<double>& mean, const std::vector<double>& std, DType dtype) {
  ACTGRAD_CHECK(mean.size() == std.size(), "one mean and std per channel");
  Tensor table = Tensor::empty({static_cast<std::int64_t>(mean.size()), 256}, dtype);
  visit_floating(dtype, [&]<class T>() {
    T* entry = table.data<T>();
    for (std::size_t c = 0; c < mean.size(); ++c)
      for (int pixel = 0; pixel < 256; ++pixel) *entry++ = T((pixel / 255.0 - mean[c]) / std[c]);
  });
  return table;
}

void gather_images(const Tensor& images, const Tensor& order, const StepValue<DataPosition>& position,
                   std::int64_t offset, const Tensor& table, const Augmentation& augmentation, Tensor& y) {
  ACTGRAD_CHECK(images.rank() == 4 && y.rank() == 4, images.shape().to_string());
  const std::int64_t count = y.dim(0), height = images.dim(1), width = images.dim(2), channels = images.dim(3);
  ACTGRAD_CHECK((y.shape() == Shape{count, height, width, channels}),
                images.shape().to_string() + " to " + y.shape().to_string());
  ACTGRAD_CHECK((table.shape() == Shape{channels, 256} && table.dtype() == y.dtype()), "one mean and std per channel");
  ACTGRAD_CHECK(augmentation.padding >= 0, "padding");
  const double pixels_read = static_cast<double>(y.numel());  // a byte each
  const WorkScope work("gather_images", {.bytes = pixels_read + bytes_of(y, table)});
  ACTGRAD_DISPATCH(gather_images, images, images, order, position, offset, table, augmentation, y);
  const auto* const pixels = images.data<std::uint8_t>();
  const std::int32_t* const chosen = chosen_images(order, position.value(), offset, count, images.dim(0));
  visit_floating(y.dtype(), [&]<class T>() {
    const auto copy = channels == 3 ? copy_row<3, T> : channels == 1 ? copy_row<1, T> : copy_row<0, T>;
    T* out = y.data<T>();
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint8_t* const image = pixels + chosen[i] * height * width * channels;
      const Placement place = formulas::draw_placement(augmentation, position.value().epoch, chosen[i]);
      for (std::int64_t row = place.top; row < place.top + height; ++row, out += width * channels)
        copy(row >= 0 && row < height ? image + row * width * channels : nullptr, width, channels, place,
             table.data<T>(), out);
    }
  });
}

void gather_labels(const Tensor& labels, const Tensor& order, const StepValue<DataPosition>& position,
                   std::int64_t offset, Tensor& y) {
  const std::int64_t count = y.numel();
  const WorkScope work("gather_labels", {.bytes = 3 * bytes_of(y)});  // place, label, result
  ACTGRAD_DISPATCH(gather_labels, labels, labels, order, position, offset, y);
  const std::int32_t* const chosen = chosen_images(order, position.value(), offset, count, labels.numel());
  const std::int32_t* const all = labels.data<std::int32_t>();
  std::transform(chosen, chosen + count, y.data<std::int32_t>(), [&](std::int32_t image) { return all[image]; });
}

}  // namespace actgrad::kernels
