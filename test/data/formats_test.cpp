#include "data/formats.h"

#include <zlib.h>

#include "core/atomic_file.h"
#include "test/catch.h"
#include "test/core/mutation.h"
#include "test/core/temporary_folder.h"

using namespace actgrad;

namespace {

std::string random_bytes(std::size_t count, std::uint64_t stream) {
  Random random(9, Purpose::test, stream);
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.below(256));
  return bytes;
}

// `records` records with the labels 0, 1, 2, … below 10 (behind a first label of 19, if there are two).
std::string cifar_file(std::size_t records, std::size_t label_bytes) {
  std::string file;
  for (std::size_t i = 0; i < records; ++i) {
    if (label_bytes == 2) file += static_cast<char>(19);
    file += static_cast<char>(i % 10);
    file += random_bytes(3072, i);
  }
  return file;
}

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 255);
  return bytes;
}

std::string idx_images(std::uint32_t count, std::uint32_t size) {
  return big_endian(0x803) + big_endian(count) + big_endian(size) + big_endian(size) +
         random_bytes(count * size * size, 1);
}

std::string idx_labels(std::uint32_t count) {
  std::string file = big_endian(0x801) + big_endian(count);
  for (std::uint32_t i = 0; i < count; ++i) file += static_cast<char>(i % 10);
  return file;
}

std::string compressed(const TemporaryFolder& folder, const std::string& bytes) {
  const std::string path = folder.file("compressed");
  const gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
  return read_file(path);
}

int byte_at(const std::string& bytes, std::size_t position) {
  return static_cast<unsigned char>(bytes[position]);
}

template <class Action>
void check_refused(Action action, const std::string& path, const std::string& message) {
  CHECK_THROWS_AS(action(), UserError);
  CHECK_THROWS_WITH(action(), path + ": " + message);
}

}  // namespace

TEST_CASE("CIFAR records become images with the channels last") {
  const TemporaryFolder folder;
  const std::size_t label_bytes = GENERATE(1, 2);
  const std::string file = cifar_file(3, label_bytes);
  const std::vector<std::string> paths = {folder.write("a", file), folder.write("b", file)};
  const ImageSet set = read_cifar(paths, 3, static_cast<int>(label_bytes), 10);
  REQUIRE(set.images.shape() == Shape{6, 32, 32, 3});
  CHECK(set.labels.to_vector<std::int32_t>() == std::vector<std::int32_t>{0, 1, 2, 0, 1, 2});
  const std::uint8_t* pixel = set.images.data<std::uint8_t>();
  bool equal = true;
  for (std::size_t image = 0; image < 6; ++image)
    for (std::size_t y = 0; y < 32; ++y)
      for (std::size_t x = 0; x < 32; ++x)
        for (std::size_t c = 0; c < 3; ++c)
          equal &= *pixel++ == byte_at(file, image % 3 * (label_bytes + 3072) + label_bytes + c * 1024 + y * 32 + x);
  CHECK(equal);
}

TEST_CASE("bad CIFAR files are refused") {
  const TemporaryFolder folder;
  const std::string good = cifar_file(3, 1);
  const auto check = [&](const std::string& content, const std::string& message) {
    const std::string path = folder.write("batch.bin", content);
    check_refused([&] { read_cifar({path}, 3, 1, 10); }, path, message);
  };
  check("", "truncated: expected 9219 bytes, has 0");
  check(good.substr(0, 9218), "truncated: expected 9219 bytes, has 9218");
  check(good + "x", "too long: expected 9219 bytes, has 9220");
  check(good + good, "too long: expected 9219 bytes, has 18438");
  std::string bad = good;
  bad[2 * 3073] = 10;
  check(bad, "record 2 has the label 10; expected 0 to 9");
  CHECK_THROWS_WITH(read_cifar({folder.file("none")}, 3, 1, 10),
                    "cannot read " + folder.file("none") + ": No such file or directory");
  check_refused([&] { read_cifar({folder.path()}, 3, 1, 10); }, folder.path(), "Is a directory");
}

TEST_CASE("IDX files are read, compressed or not") {
  const TemporaryFolder folder;
  const bool compress = GENERATE(false, true);
  const std::string images = idx_images(12, 5), labels = idx_labels(12);
  const ImageSet set = read_idx(folder.write("images", compress ? compressed(folder, images) : images),
                                folder.write("labels", compress ? compressed(folder, labels) : labels), 12, 5, 10);
  REQUIRE(set.images.shape() == Shape{12, 5, 5, 1});
  CHECK(std::memcmp(set.images.raw(), images.data() + 16, 12 * 25) == 0);
  CHECK(set.labels.to_vector<std::int32_t>() == std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1});
}

TEST_CASE("bad IDX files are refused") {
  const TemporaryFolder folder;
  const std::string images = idx_images(12, 5), labels = idx_labels(12);
  const std::string good_images = folder.write("good-images", images),
                    good_labels = folder.write("good-labels", labels);
  const auto check_images = [&](const std::string& content, const std::string& message) {
    const std::string path = folder.write("images", content);
    check_refused([&] { read_idx(path, good_labels, 12, 5, 10); }, path, message);
  };
  const auto check_labels = [&](const std::string& content, const std::string& message) {
    const std::string path = folder.write("labels", content);
    check_refused([&] { read_idx(good_images, path, 12, 5, 10); }, path, message);
  };

  check_images("", "truncated: expected 316 bytes, has 0");
  check_images(images.substr(0, 100), "truncated: expected 316 bytes, has 100");
  check_images(images + "x", "too long: expected 316 bytes, has 317");
  check_images(labels, "wrong magic number 0x00000801; expected 0x00000803 (IDX, images)");
  check_images("<html>" + images, "wrong magic number 0x3c68746d; expected 0x00000803 (IDX, images)");
  check_images(idx_images(11, 5), "holds 11 images; expected 12");
  check_images(idx_images(12, 6), "its images have a side of 6 pixels; expected 5");

  check_labels(images, "wrong magic number 0x00000803; expected 0x00000801 (IDX, labels)");
  check_labels(idx_labels(13), "holds 13 labels; expected 12");
  check_labels(labels.substr(0, 19), "truncated: expected 20 bytes, has 19");
  check_labels(labels + "x", "too long: expected 20 bytes, has 21");
  std::string bad = labels;
  bad[8 + 7] = static_cast<char>(200);
  check_labels(bad, "record 7 has the label 200; expected 0 to 9");

  const std::string packed = compressed(folder, images);
  check_images(packed.substr(0, packed.size() / 2), "truncated: its compressed data ends too early");
  bad = packed;
  bad[bad.size() - 6] = static_cast<char>(bad[bad.size() - 6] ^ 1);  // of the checksum
  check_images(bad, "damaged: its compressed data is not valid");
}

TEST_CASE("damaged data files are read or refused, never worse") {
  const TemporaryFolder folder;
  const std::string images = idx_images(12, 5), labels = idx_labels(12);
  const std::string packed_images = compressed(folder, images), packed_labels = compressed(folder, labels);
  const std::string cifar = cifar_file(2, 2);
  Random random(6, Purpose::test);
  int read = 0, refused = 0;
  const auto attempt = [&](const auto& action) {
    try {
      const ImageSet set = action();
      for (const std::int32_t label : set.labels.template to_vector<std::int32_t>())
        REQUIRE((0 <= label && label < 10));
      ++read;
    } catch (const UserError&) {
      ++refused;
    }
  };
  for (int i = 0; i < 1000; ++i) {
    const auto idx = [&](const std::string& a, const std::string& b) {
      return read_idx(folder.write("images", a), folder.write("labels", b), 12, 5, 10);
    };
    attempt([&] { return idx(mutated(images, random), mutated(labels, random)); });
    attempt([&] { return idx(images, mutated(labels, random)); });
    attempt([&] { return idx(mutated(packed_images, random), packed_labels); });
    attempt([&] { return idx(packed_images, mutated(packed_labels, random)); });
    attempt([&] { return read_cifar({folder.write("batch", mutated(cifar, random))}, 2, 2, 10); });
  }
  CHECK(read > 100);
  CHECK(refused > 2000);
}
