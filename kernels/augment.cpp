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

template <class T>
std::vector<T> normalisation_table(const std::vector<double>& mean, const std::vector<double>& std) {
  std::vector<T> table;
  table.reserve(mean.size() * 256);
  for (std::size_t c = 0; c < mean.size(); ++c)
    for (int pixel = 0; pixel < 256; ++pixel) table.push_back(formulas::normalised_pixel<T>(pixel, mean[c], std[c]));
  return table;
}

}  // namespace

void gather_images(const Tensor& images, const std::int32_t* indices, std::int64_t count,
                   const std::vector<double>& mean, const std::vector<double>& std, const Augmentation& augmentation,
                   Tensor& y) {
  ACTGRAD_CHECK(images.rank() == 4, images.shape().to_string());
  const std::int64_t number = images.dim(0), height = images.dim(1), width = images.dim(2), channels = images.dim(3);
  ACTGRAD_CHECK((y.shape() == Shape{count, height, width, channels}),
                images.shape().to_string() + " to " + y.shape().to_string());
  ACTGRAD_CHECK(static_cast<std::int64_t>(mean.size()) == channels && std.size() == mean.size(),
                "one mean and std per channel");
  ACTGRAD_CHECK(augmentation.padding >= 0, "padding");
  const auto* const pixels = images.data<std::uint8_t>();
  ACTGRAD_DISPATCH(gather_images, images, images, indices, count, mean, std, augmentation, y);
  visit_floating(y.dtype(), [&]<class T>() {
    const std::vector<T> table = normalisation_table<T>(mean, std);
    const auto copy = channels == 3 ? copy_row<3, T> : channels == 1 ? copy_row<1, T> : copy_row<0, T>;
    T* out = y.data<T>();
    for (std::int64_t i = 0; i < count; ++i) {
      ACTGRAD_CHECK(indices[i] >= 0 && indices[i] < number, "image " + std::to_string(indices[i]));
      const std::uint8_t* const image = pixels + indices[i] * height * width * channels;
      const Placement place = formulas::draw_placement(augmentation, indices[i]);
      for (std::int64_t row = place.top; row < place.top + height; ++row, out += width * channels)
        copy(row >= 0 && row < height ? image + row * width * channels : nullptr, width, channels, place, table.data(),
             out);
    }
  });
}

}  // namespace actgrad::kernels
