#include <cstdio>

#include "data/data_file.h"
#include "data/formats.h"

namespace actgrad {
namespace {

// A big-endian number of the header.
std::uint32_t read_number(DataFile& file) {
  std::uint8_t bytes[4];
  file.read(bytes, sizeof bytes);
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 | bytes[3];
}

// The magic number says: two zero bytes, element type 8 (unsigned byte), number of dimensions; the dimensions follow.
// All must be as expected. Returns the number of elements.
std::size_t read_header(DataFile& file, const std::vector<std::int64_t>& expected, const char* what) {
  std::size_t elements = 1;
  for (const std::int64_t dim : expected) elements *= static_cast<std::size_t>(dim);
  file.expect(4 + 4 * expected.size() + elements);

  const std::uint32_t magic = read_number(file);
  const std::uint32_t wanted = 0x0800 + static_cast<std::uint32_t>(expected.size());
  if (magic != wanted) {
    char text[80];
    std::snprintf(text, sizeof text, "wrong magic number 0x%08x; expected 0x%08x (IDX, %s)", magic, wanted, what);
    file.fail(text);
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const std::uint32_t dim = read_number(file);
    if (dim == expected[i]) continue;
    if (i == 0) file.fail("holds " + std::to_string(dim) + " " + what + "; expected " + std::to_string(expected[i]));
    file.fail("its images have a side of " + std::to_string(dim) + " pixels; expected " + std::to_string(expected[i]));
  }
  return elements;
}

}  // namespace

ImageSet read_idx(const std::string& images_path, const std::string& labels_path, std::int64_t count, std::int64_t size,
                  std::int64_t classes) {
  DataFile images(images_path);
  const std::size_t image_bytes = read_header(images, {count, size, size}, "images");
  ImageSet set{Tensor::empty({count, size, size, 1}, DType::uint8), Tensor::empty({count}, DType::int32)};
  images.read(set.images.raw(), image_bytes);
  images.finish();

  DataFile labels(labels_path);
  std::vector<std::uint8_t> values(read_header(labels, {count}, "labels"));
  labels.read(values.data(), values.size());
  labels.finish();
  std::int32_t* label = set.labels.data<std::int32_t>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] >= classes)
      labels.fail("record " + std::to_string(i) + " has the label " + std::to_string(values[i]) + "; expected 0 to " +
                  std::to_string(classes - 1));
    label[i] = values[i];
  }
  return set;
}

}  // namespace actgrad
