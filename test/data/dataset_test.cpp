#include "data/dataset.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "core/error.h"
#include "test/catch.h"
#include "test/core/temporary_folder.h"

using namespace actgrad;

namespace {

// A file of zeros of the size of a real one: label 0, black images. Sparse, so it takes no room.
void write_zeros(const TemporaryFolder& folder, const std::string& name, std::uintmax_t bytes) {
  folder.write(name, "");
  std::filesystem::resize_file(folder.file(name), bytes);
}

void write_idx(const TemporaryFolder& folder, const std::string& prefix, const std::string& count) {
  folder.write(prefix + "-images-idx3-ubyte",
               std::string("\0\0\x08\x03\0\0", 6) + count + std::string("\0\0\0\x1c\0\0\0\x1c", 8));
  folder.write(prefix + "-labels-idx1-ubyte", std::string("\0\0\x08\x01\0\0", 6) + count);
}

}  // namespace

TEST_CASE("the data sets have names and help") {
  CHECK(dataset_names() == std::vector<std::string>{"cifar10", "cifar100", "fashion-mnist", "mnist", "synthetic"});
  for (const std::string& name : dataset_names()) CHECK_FALSE(dataset_help(name).empty());
  CHECK_THROWS_WITH(dataset_help("cifar"), ContainsSubstring("unknown data set 'cifar'"));
  CHECK_THROWS_WITH(load_dataset("cifar-10", "."),
                    ContainsSubstring("unknown data set 'cifar-10': did you mean 'cifar10'?"));
}

TEST_CASE("missing files are named, with the way to get them") {
  const TemporaryFolder folder;
  CHECK_FALSE(dataset_available("cifar10", folder.path()));
  CHECK(dataset_available("synthetic", folder.path()));
  CHECK_FALSE(dataset_available("unheard-of", folder.path()));
  const std::string& at = folder.path();
  CHECK_THROWS_AS(load_dataset("cifar10", at), UserError);
  CHECK_THROWS_WITH(load_dataset("cifar10", at), "cifar10: data_batch_1.bin is neither in " + at +
                                                     "/cifar-10-batches-bin nor in " + at +
                                                     "; `scripts/get_data cifar10` downloads the data set, "
                                                     "--data-dir says where it lies");
  for (const char* batch : {"1", "2", "3", "4", "5"})
    folder.write(std::string("cifar-10-batches-bin/data_batch_") + batch + ".bin", "");
  CHECK_FALSE(dataset_available("cifar10", at));
  CHECK_THROWS_WITH(load_dataset("cifar10", at), ContainsSubstring("cifar10: test_batch.bin is neither"));
  folder.write("cifar-10-batches-bin/test_batch.bin", "");
  CHECK(dataset_available("cifar10", at));
  CHECK_THROWS_WITH(load_dataset("cifar10", at),
                    at + "/cifar-10-batches-bin/data_batch_1.bin: truncated: expected 30730000 bytes, has 0");
}

TEST_CASE("files of the official sizes are read from the folder or its usual subfolder") {
  const TemporaryFolder folder;
  const std::string prefix = GENERATE("", "cifar-10-batches-bin/");
  for (const char* batch :
       {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"})
    write_zeros(folder, prefix + batch + ".bin", 30'730'000);
  const Dataset set = load_dataset("cifar10", folder.path());
  CHECK(set.name == "cifar10");
  CHECK(set.train.images.shape() == Shape{50000, 32, 32, 3});
  CHECK(set.test.size() == 10000);
  CHECK(set.mean == std::vector<double>{0.4914, 0.4822, 0.4465});
  CHECK(set.std == std::vector<double>{0.2470, 0.2435, 0.2616});
  CHECK(set.augment);
}

TEST_CASE("CIFAR-100 has 100 classes") {
  const TemporaryFolder folder;
  write_zeros(folder, "cifar-100-binary/train.bin", 153'700'000);
  write_zeros(folder, "cifar-100-binary/test.bin", 30'740'000);
  const Dataset set = load_dataset("cifar100", folder.path());
  CHECK(set.classes == 100);
  REQUIRE(set.class_names.size() == 100);
  CHECK(std::is_sorted(set.class_names.begin(), set.class_names.end()));
  CHECK(set.train.size() == 50000);
  CHECK(set.test.size() == 10000);
  CHECK(set.augment);
}

TEST_CASE("MNIST and Fashion-MNIST are read from IDX files") {
  const TemporaryFolder folder;
  const std::string name = GENERATE("mnist", "fashion-mnist");
  write_idx(folder, name + "/train", "\xea\x60");  // 60,000
  write_idx(folder, name + "/t10k", "\x27\x10");   // 10,000
  std::filesystem::resize_file(folder.file(name + "/train-images-idx3-ubyte"), 16 + 60000 * 784);
  std::filesystem::resize_file(folder.file(name + "/train-labels-idx1-ubyte"), 8 + 60000);
  std::filesystem::resize_file(folder.file(name + "/t10k-images-idx3-ubyte"), 16 + 10000 * 784);
  std::filesystem::resize_file(folder.file(name + "/t10k-labels-idx1-ubyte"), 8 + 10000);
  CHECK(dataset_available(name, folder.path()));
  const Dataset set = load_dataset(name, folder.path());
  CHECK(set.train.images.shape() == Shape{60000, 28, 28, 1});
  CHECK(set.test.images.shape() == Shape{10000, 28, 28, 1});
  CHECK(set.classes == 10);
  CHECK(set.mean == std::vector<double>{name == "mnist" ? 0.1307 : 0.2860});
  CHECK_FALSE(set.augment);
}

TEST_CASE("the first images share the bytes") {
  const Dataset set = synthetic_dataset(20, 5);
  const ImageSet few = first_images(set.train, 3);
  CHECK(few.size() == 3);
  CHECK(few.labels.numel() == 3);
  CHECK(few.images.raw() == set.train.images.raw());
  CHECK(first_images(set.train, 0).size() == 20);
  CHECK(first_images(set.train, 20).size() == 20);
  CHECK(first_images(set.train, 1000).size() == 20);
}

TEST_CASE("the synthetic set is the same everywhere") {
  const Dataset set = synthetic_dataset(300, 100);
  const auto crc = [](const Tensor& tensor) {
    return crc32_z(0, static_cast<const Bytef*>(tensor.raw()), tensor.bytes());
  };
  CHECK(crc(set.train.images) == 0x9527a199);
  CHECK(crc(set.train.labels) == 0xb9b9e229);
  CHECK(crc(set.test.images) == 0xdaf8d381);
  CHECK(crc(set.test.labels) == 0x0542a6c9);
}

TEST_CASE("the synthetic set's images do not depend on its size, and train and test differ") {
  const Dataset small = synthetic_dataset(10, 10), large = synthetic_dataset(30, 20);
  CHECK(std::memcmp(small.train.images.raw(), large.train.images.raw(), small.train.images.bytes()) == 0);
  CHECK(std::memcmp(small.test.images.raw(), large.test.images.raw(), small.test.images.bytes()) == 0);
  CHECK(std::memcmp(small.train.images.raw(), small.test.images.raw(), small.test.images.bytes()) != 0);
}

TEST_CASE("the synthetic set has ten classes of about equal size, and normalised pixels") {
  const Dataset set = load_dataset("synthetic", "/nowhere");
  CHECK(set.classes == 10);
  CHECK(set.class_names.size() == 10);
  CHECK(std::set<std::string>(set.class_names.begin(), set.class_names.end()).size() == 10);
  REQUIRE(set.train.images.shape() == Shape{10000, 32, 32, 3});
  REQUIRE(set.test.size() == 2000);
  std::map<int, int> counts;
  for (const std::int32_t label : set.train.labels.to_vector<std::int32_t>()) ++counts[label];
  CHECK(counts.size() == 10);
  for (const auto& [label, count] : counts) {
    INFO("class " << label);
    CHECK((0 <= label && label < 10));
    CHECK(count == Approx(1000).margin(120));
  }
  const std::uint8_t* pixel = set.train.images.data<std::uint8_t>();
  for (std::size_t c = 0; c < 3; ++c) {
    double sum = 0, squares = 0;
    const std::size_t pixels = 10000 * 32 * 32;
    for (std::size_t i = 0; i < pixels; ++i) {
      const double value = pixel[3 * i + c] / 255.0;
      sum += value;
      squares += value * value;
    }
    const double mean = sum / pixels;
    CHECK(mean == Approx(set.mean[c]).margin(0.005));
    CHECK(std::sqrt(squares / pixels - mean * mean) == Approx(set.std[c]).margin(0.005));
  }
}

TEST_CASE("the mean image of a synthetic class does not tell the class") {
  const Dataset set = synthetic_dataset(5000, 500);
  const std::size_t pixels = 32 * 32 * 3;
  std::vector<std::vector<double>> mean(10, std::vector<double>(pixels));
  std::vector<double> count(10);
  const auto image = [&](const ImageSet& images, std::size_t i) {
    return images.images.data<std::uint8_t>() + i * pixels;
  };
  const auto label = [&](const ImageSet& images, std::size_t i) {
    return static_cast<std::size_t>(images.labels.data<std::int32_t>()[i]);
  };
  for (std::size_t i = 0; i < 5000; ++i) {
    ++count[label(set.train, i)];
    for (std::size_t p = 0; p < pixels; ++p) mean[label(set.train, i)][p] += image(set.train, i)[p];
  }
  int right = 0;
  for (std::size_t i = 0; i < 500; ++i) {
    std::size_t nearest = 0;
    double smallest = 1e300;
    for (std::size_t k = 0; k < 10; ++k) {
      double distance = 0;
      for (std::size_t p = 0; p < pixels; ++p) {
        const double difference = image(set.test, i)[p] - mean[k][p] / count[k];
        distance += difference * difference;
      }
      if (distance < smallest) {
        smallest = distance;
        nearest = k;
      }
    }
    right += nearest == label(set.test, i);
  }
  CHECK(right < 150);  // chance: 50
}
