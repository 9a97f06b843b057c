#include "kernels/augment.h"

#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

Tensor random_images(const Shape& shape) {
  Random random(13, Purpose::test);
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(shape.numel()));
  for (std::uint8_t& pixel : pixels) pixel = static_cast<std::uint8_t>(random.next() >> 24);
  return Tensor::from(shape, pixels);
}

const std::vector<double> means = {0.4914, 0.4822, 0.4465, 0.3}, stds = {0.2470, 0.2435, 0.2616, 0.5};

std::vector<double> first(const std::vector<double>& values, std::int64_t count) {
  return {values.begin(), values.begin() + count};
}

// Augmentation, and the epoch whose draws it takes.
struct Draws : Augmentation {
  std::uint64_t epoch = 0;
};

Tensor gather(const Tensor& images, const std::vector<std::int32_t>& indices, const Draws& a, DType dtype) {
  const std::int64_t count = static_cast<std::int64_t>(indices.size()), channels = images.dim(3);
  Tensor y = Tensor::empty({count, images.dim(1), images.dim(2), channels}, dtype);
  // The order holds three more images in front, which the position and the offset pass over.
  std::vector<std::int32_t> order = {0, 0, 0};
  order.insert(order.end(), indices.begin(), indices.end());
  gather_images(images, Tensor::from({count + 3}, order), DataPosition{.first = 1, .epoch = a.epoch}, 2,
                normalisation_table(first(means, channels), first(stds, channels), dtype), a, y);
  return y;
}

// Pads, crops, flips and normalises pixel by pixel.
std::vector<double> expected(const Tensor& images, const std::vector<std::int32_t>& indices, const Draws& a) {
  const std::int64_t height = images.dim(1), width = images.dim(2), channels = images.dim(3);
  const auto* const pixels = images.data<std::uint8_t>();
  std::vector<double> result;
  for (const std::int32_t i : indices) {
    const auto words = Random(a.seed, Purpose::augment, a.epoch).block(static_cast<std::uint64_t>(i));
    const double choices = static_cast<double>(2 * a.padding + 1);
    const auto down = static_cast<std::int64_t>(std::floor(words[0] / 0x1p32 * choices)) - a.padding;
    const auto right = static_cast<std::int64_t>(std::floor(words[1] / 0x1p32 * choices)) - a.padding;
    const bool flip = words[2] >= 0x80000000u;
    for (std::int64_t y = 0; y < height; ++y)
      for (std::int64_t x = 0; x < width; ++x)
        for (std::int64_t c = 0; c < channels; ++c) {
          const std::int64_t sy = a.enabled ? y + down : y, sx = a.enabled ? (flip ? width - 1 - x : x) + right : x;
          const bool inside = sy >= 0 && sx >= 0 && sy < height && sx < width;
          const double pixel = inside ? pixels[((i * height + sy) * width + sx) * channels + c] : 0;
          result.push_back((pixel / 255 - means[static_cast<std::size_t>(c)]) / stds[static_cast<std::size_t>(c)]);
        }
  }
  return result;
}

}  // namespace

TEST_CASE("images are gathered, cropped, flipped and normalised") {
  const Shape shape = GENERATE(Shape{40, 32, 32, 3}, Shape{40, 28, 28, 1}, Shape{40, 5, 7, 4}, Shape{40, 1, 1, 2});
  const std::int64_t padding = GENERATE(0, 1, 4, 9);
  const bool enabled = GENERATE(false, true);
  CAPTURE(shape.to_string(), padding, enabled);
  const Tensor images = random_images(shape);
  const Draws a{{.enabled = enabled, .padding = padding, .seed = 5}, 3};
  std::vector<std::int32_t> indices;
  for (std::int32_t i = 39; i >= 0; i -= 2) indices.push_back(i);
  const std::vector<double> wanted = expected(images, indices, a);
  CHECK(distance(gather(images, indices, a, DType::float64), wanted) == 0);
  std::vector<double> rounded(wanted);
  for (double& value : rounded) value = static_cast<float>(value);
  CHECK(distance(gather(images, indices, a, DType::float32), rounded) == 0);
}

TEST_CASE("draws depend on seed, epoch and image number, not on the batch") {
  const Tensor images = random_images({64, 8, 8, 3});
  const Draws a{{.enabled = true, .padding = 2, .seed = 1}, 0};
  std::vector<std::int32_t> all;
  for (std::int32_t i = 0; i < 64; ++i) all.push_back(i);
  const Tensor together = gather(images, all, a, DType::float32);
  for (const std::int32_t i : {0, 17, 63})
    CHECK(distance(gather(images, {i}, a, DType::float32), together.slice(i, i + 1)) == 0);
  Draws other = a;
  other.epoch = 1;
  CHECK(distance(gather(images, all, other, DType::float32), together) > 0);
  other = a;
  other.seed = 2;
  CHECK(distance(gather(images, all, other, DType::float32), together) > 0);
}

TEST_CASE("every offset and both orientations occur") {
  // One pixel is white; where it lands tells the offset.
  Tensor images = Tensor::zeros({2000, 3, 3, 1}, DType::uint8);
  for (int i = 0; i < 2000; ++i) images.data<std::uint8_t>()[i * 9 + 4] = 255;
  std::vector<std::int32_t> indices;
  for (std::int32_t i = 0; i < 2000; ++i) indices.push_back(i);
  Tensor y = Tensor::empty({2000, 3, 3, 1}, DType::float32);
  gather_images(images, Tensor::from({2000}, indices), DataPosition{}, 0, normalisation_table({0}, {1}, y.dtype()),
                {.enabled = true, .padding = 1, .seed = 1}, y);
  std::vector<double> counts(9);
  for (std::int64_t i = 0; i < y.numel(); ++i)
    counts[static_cast<std::size_t>(i % 9)] += static_cast<double>(y.data<float>()[i]);
  for (const double count : counts) CHECK(count == Approx(2000 / 9.0).epsilon(0.25));
}

TEST_CASE("images that do not exist and constants that do not fit are refused") {
  const Tensor images = random_images({4, 2, 2, 3});
  CHECK_THROWS_AS(gather(images, {4}, {}, DType::float32), InternalError);
  CHECK_THROWS_AS(gather(images, {-1}, {}, DType::float32), InternalError);
  Tensor y = Tensor::empty({1, 2, 2, 3}, DType::float32);
  const Tensor order = Tensor::from<std::int32_t>({1}, {0}), table = normalisation_table({0.5}, {0.5}, y.dtype());
  CHECK_THROWS_AS(gather_images(images, order, DataPosition{}, 0, table, {}, y), InternalError);
  CHECK_THROWS_AS(normalisation_table({0.5, 0.5}, {0.5}, y.dtype()), InternalError);
  const Tensor fitting = normalisation_table({0.5, 0.5, 0.5}, {1, 1, 1}, y.dtype());
  CHECK_THROWS_AS(gather_images(images, order, DataPosition{.first = 1}, 0, fitting, {}, y), InternalError);
}

TEST_CASE("labels follow the order") {
  const Tensor labels = Tensor::from<std::int32_t>({4}, {7, 8, 9, 6});
  const Tensor order = Tensor::from<std::int32_t>({5}, {3, 2, 0, 1, 3});
  Tensor y = Tensor::empty({2}, DType::int32);
  gather_labels(labels, order, DataPosition{.first = 1}, 1, y);
  CHECK(y.to_vector<std::int32_t>() == std::vector<std::int32_t>{7, 8});
  CHECK_THROWS_AS(gather_labels(labels, order, DataPosition{.first = 4}, 0, y), InternalError);
  CHECK_THROWS_AS(gather_labels(labels, Tensor::from<std::int32_t>({2}, {0, 4}), DataPosition{}, 0, y), InternalError);
}
