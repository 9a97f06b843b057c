#include "data/data_file.h"
#include "data/formats.h"

namespace actgrad {
namespace {

constexpr std::int64_t pixels = 32 * 32;
constexpr std::int64_t channels = 3;

}  // namespace

ImageSet read_cifar(const std::vector<std::string>& paths, std::int64_t records, int label_bytes,
                    std::int64_t classes) {
  const std::int64_t total = records * static_cast<std::int64_t>(paths.size());
  ImageSet set{Tensor::empty({total, 32, 32, channels}, DType::uint8), Tensor::empty({total}, DType::int32)};
  std::uint8_t* image = set.images.data<std::uint8_t>();
  std::int32_t* label = set.labels.data<std::int32_t>();

  std::vector<std::uint8_t> record(static_cast<std::size_t>(label_bytes + channels * pixels));
  for (const std::string& path : paths) {
    DataFile file(path);
    file.expect(static_cast<std::uint64_t>(records) * record.size());
    for (std::int64_t i = 0; i < records; ++i, ++label, image += channels * pixels) {
      file.read(record.data(), record.size());
      *label = record[static_cast<std::size_t>(label_bytes - 1)];
      if (*label >= classes)
        file.fail("record " + std::to_string(i) + " has the label " + std::to_string(*label) + "; expected 0 to " +
                  std::to_string(classes - 1));
      const std::uint8_t* planes = record.data() + label_bytes;
      for (std::int64_t p = 0; p < pixels; ++p)
        for (std::int64_t c = 0; c < channels; ++c) image[p * channels + c] = planes[c * pixels + p];
    }
    file.finish();
  }
  return set;
}

}  // namespace actgrad
