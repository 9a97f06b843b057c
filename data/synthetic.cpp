// Textured shapes: images that need no download and ask for what convolutions do. Place, size, colours and the phase of
// the texture are random, so that no pixel by itself tells the class and a linear model learns next to nothing (about
// 15% after 3 epochs, where LeNet-5 reaches about 80%), while edges, corners and stripes, which the first layers of a
// network find, do.
//
// All arithmetic is on integers: every machine and compiler makes the same bytes.
#include <algorithm>
#include <cstdlib>

#include "core/random.h"
#include "data/dataset.h"

namespace actgrad {
namespace {

constexpr int side = 32, channels = 3;
constexpr int unit = 16;  // lengths and coordinates are in sixteenths of a pixel
constexpr std::uint64_t seed = 20250;
// Image i of the training set is stream i, of the test set stream 2^32 + i: the sizes of the sets change no image.
constexpr std::uint64_t first_test_stream = std::uint64_t{1} << 32;

// A class is one shape with one texture: label = 5·texture + shape.
const char* const shape_names[] = {"disc", "square", "triangle", "ring", "cross"};
const char* const texture_names[] = {"striped", "checkered"};
constexpr int shapes = 5, textures = 2;

struct Colour {
  int channel[channels];
};

struct Picture {
  int shape, texture;
  int x, y, radius;              // of the shape
  int stripe, phase_x, phase_y;  // width of a stripe or of a checker's square
  int noise;                     // amplitude, in grey levels
  Colour ground, light, dark;
};

// Whether the point (dx, dy) from the centre belongs to the shape. Augmentation flips images left to right, so every
// shape is its own mirror image.
bool is_inside(int shape, int dx, int dy, int radius) {
  const int ax = std::abs(dx), ay = std::abs(dy);
  const int square = dx * dx + dy * dy, radius_square = radius * radius;
  switch (shape) {
    case 0: return square <= radius_square;
    case 1: return 8 * std::max(ax, ay) <= 7 * radius;
    case 2: return 4 * dy <= 3 * radius && 2 * ax <= dy + radius;
    case 3: return square <= radius_square && 3 * square >= radius_square;
    default: return std::max(ax, ay) <= radius && 3 * std::min(ax, ay) <= radius;
  }
}

bool is_light(const Picture& picture, int x, int y) {
  const int row = (y + picture.phase_y) / picture.stripe, column = (x + picture.phase_x) / picture.stripe;
  return (picture.texture == 0 ? row : row + column) % 2 == 0;
}

Picture draw_picture(Random& random, int label) {
  const auto between = [&](int low, int high) {
    return low + static_cast<int>(random.below(static_cast<std::uint32_t>(high - low + 1)));
  };
  Picture picture;
  picture.shape = label % shapes;
  picture.texture = label / shapes;
  picture.radius = between(9 * unit, 12 * unit);
  picture.x = between(12 * unit, 20 * unit);
  picture.y = between(12 * unit, 20 * unit);
  picture.stripe = between(2 * unit, 3 * unit);
  picture.phase_x = between(0, 2 * picture.stripe - 1);
  picture.phase_y = between(0, 2 * picture.stripe - 1);
  picture.noise = between(0, 31);
  const int contrast = between(30, 80);
  for (int c = 0; c < channels; ++c) {
    picture.ground.channel[c] = between(50, 200);
    const int colour = between(50, 200);
    picture.light.channel[c] = colour + contrast;
    picture.dark.channel[c] = colour - contrast;
  }
  return picture;
}

void paint(const Picture& picture, Random& random, std::uint8_t* pixel) {
  for (int row = 0; row < side; ++row) {
    for (int column = 0; column < side; ++column, pixel += channels) {
      const int x = column * unit + unit / 2, y = row * unit + unit / 2;  // the pixel's centre
      const Colour* colour = &picture.ground;
      if (is_inside(picture.shape, x - picture.x, y - picture.y, picture.radius))
        colour = is_light(picture, x, y) ? &picture.light : &picture.dark;
      std::uint32_t bytes = random.next();
      for (int c = 0; c < channels; ++c, bytes >>= 8) {
        const int noise = (static_cast<int>(bytes & 255) - 128) * picture.noise / 128;
        pixel[c] = static_cast<std::uint8_t>(std::clamp(colour->channel[c] + noise, 0, 255));
      }
    }
  }
}

ImageSet make_images(std::int64_t count, std::uint64_t first_stream) {
  ImageSet set{Tensor::empty({count, side, side, channels}, DType::uint8), Tensor::empty({count}, DType::int32)};
  std::uint8_t* image = set.images.data<std::uint8_t>();
  std::int32_t* labels = set.labels.data<std::int32_t>();
  for (std::int64_t i = 0; i < count; ++i, image += side * side * channels) {
    Random random(seed, Purpose::synthetic, first_stream + static_cast<std::uint64_t>(i));
    labels[i] = static_cast<std::int32_t>(random.below(shapes * textures));
    const Picture picture = draw_picture(random, labels[i]);
    paint(picture, random, image);
  }
  return set;
}

}  // namespace

Dataset synthetic_dataset(std::int64_t train_size, std::int64_t test_size) {
  Dataset set;
  set.name = "synthetic";
  set.classes = shapes * textures;
  set.mean = {0.488, 0.488, 0.488};
  set.std = {0.208, 0.208, 0.208};
  for (const char* texture : texture_names)
    for (const char* shape : shape_names) set.class_names.push_back(std::string(texture) + " " + shape);
  set.train = make_images(train_size, 0);
  set.test = make_images(test_size, first_test_stream);
  set.augment = true;
  return set;
}

}  // namespace actgrad
