#include "data/loader.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <thread>

#include "test/catch.h"

using namespace actgrad;

namespace {

// `count` images of one pixel; pixel and label tell the number of the image.
ImageSet numbered(std::int64_t count) {
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < count; ++i) {
    pixels.push_back(static_cast<std::uint8_t>(i));
    labels.push_back(static_cast<std::int32_t>(i));
  }
  return {Tensor::from({count, 1, 1, 1}, pixels), Tensor::from({count}, labels)};
}

// Mean 0, standard deviation 1/255: the input is the pixel's byte.
const std::vector<double> no_mean = {0}, unit_std = {1.0 / 255};

LoaderOptions options_of(std::int64_t batch_size, bool shuffle, bool prefetch) {
  LoaderOptions options;
  options.batch_size = batch_size;
  options.shuffle = shuffle;
  options.prefetch = prefetch;
  options.seed = 11;
  return options;
}

// The labels of the batches that are left in the epoch.
std::vector<std::vector<std::int32_t>> rest_of(Loader& loader) {
  std::vector<std::vector<std::int32_t>> labels;
  Batch batch;
  while (loader.next(batch)) labels.push_back(batch.labels.to_vector<std::int32_t>());
  return labels;
}

}  // namespace

TEST_CASE("shuffled orders are permutations that depend on seed and epoch") {
  const auto order = shuffled_order(1000, 1, 0);
  auto sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::int32_t i = 0; i < 1000; ++i) REQUIRE(sorted[static_cast<std::size_t>(i)] == i);
  CHECK(order == shuffled_order(1000, 1, 0));
  CHECK(order != shuffled_order(1000, 1, 1));
  CHECK(order != shuffled_order(1000, 2, 0));
  CHECK(order != sorted);
  CHECK(shuffled_order(0, 1, 0).empty());
  CHECK(shuffled_order(1, 1, 0) == std::vector<std::int32_t>{0});
}

TEST_CASE("all orders of three are about equally frequent") {
  std::map<std::vector<std::int32_t>, int> counts;
  for (std::int64_t epoch = 0; epoch < 6000; ++epoch) ++counts[shuffled_order(3, 5, epoch)];
  CHECK(counts.size() == 6);
  for (const auto& [order, count] : counts) CHECK(count == Approx(1000).margin(120));
}

TEST_CASE("without shuffling, images come in their order, the last batch partial") {
  const bool prefetch = GENERATE(false, true);
  Loader loader(numbered(10), no_mean, unit_std, options_of(4, false, prefetch));
  CHECK(loader.batches() == 3);
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    loader.start(epoch);
    const auto labels = rest_of(loader);
    CHECK(labels == std::vector<std::vector<std::int32_t>>{{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9}});
    Batch batch;
    CHECK_FALSE(loader.next(batch));
  }
}

TEST_CASE("every image comes once per epoch, with its label and normalised") {
  const bool prefetch = GENERATE(false, true);
  const DType dtype = GENERATE(DType::float32, DType::float64);
  LoaderOptions options = options_of(16, true, prefetch);
  options.dtype = dtype;
  Loader loader(numbered(100), {0.5}, {0.25}, options);
  CHECK(loader.batches() == 7);
  loader.start(3);
  std::vector<std::int32_t> seen;
  Batch batch;
  while (loader.next(batch)) {
    REQUIRE(batch.x.shape() == Shape{batch.size(), 1, 1, 1});
    REQUIRE(batch.x.dtype() == dtype);
    for (std::int64_t i = 0; i < batch.size(); ++i) {
      const std::int32_t label = batch.labels.data<std::int32_t>()[i];
      const double x = dtype == DType::float32 ? batch.x.data<float>()[i] : batch.x.data<double>()[i];
      CHECK(x == Approx((label / 255.0 - 0.5) / 0.25).margin(dtype == DType::float32 ? 1e-6 : 1e-14));
      seen.push_back(label);
    }
  }
  CHECK(seen == shuffled_order(100, options.seed, 3));
}

TEST_CASE("the thread changes nothing, augmentation included") {
  const Dataset set = synthetic_dataset(50, 1);
  LoaderOptions options = options_of(8, true, true);
  options.augment = true;
  Loader ahead(set.train, set.mean, set.std, options);
  options.prefetch = false;
  Loader direct(set.train, set.mean, set.std, options);
  for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
    ahead.start(epoch);
    direct.start(epoch);
    Batch a, b;
    while (direct.next(b)) {
      REQUIRE(ahead.next(a));
      CHECK(a.x.to_vector<float>() == b.x.to_vector<float>());
      CHECK(a.labels.to_vector<std::int32_t>() == b.labels.to_vector<std::int32_t>());
    }
    CHECK_FALSE(ahead.next(a));
  }
}

TEST_CASE("augmentation of an image depends on the epoch, not on its batch") {
  const Dataset set = synthetic_dataset(12, 1);
  LoaderOptions options = options_of(12, false, true);
  options.augment = true;
  const auto epoch = [&](std::int64_t batch_size, std::int64_t number) {
    options.batch_size = batch_size;
    Loader loader(set.train, set.mean, set.std, options);
    loader.start(number);
    std::vector<float> values;
    Batch batch;
    while (loader.next(batch)) {
      const auto part = batch.x.to_vector<float>();
      values.insert(values.end(), part.begin(), part.end());
    }
    return values;
  };
  CHECK(epoch(12, 0) == epoch(5, 0));
  CHECK(epoch(12, 0) != epoch(12, 1));
}

TEST_CASE("an epoch continues at any batch") {
  const bool prefetch = GENERATE(false, true);
  Loader loader(numbered(50), no_mean, unit_std, options_of(7, true, prefetch));
  loader.start(2);
  const auto whole = rest_of(loader);
  REQUIRE(whole.size() == 8);
  for (std::size_t first = 0; first <= whole.size(); ++first) {
    loader.start(2, static_cast<std::int64_t>(first));
    CHECK(rest_of(loader) ==
          std::vector<std::vector<std::int32_t>>(whole.begin() + static_cast<std::ptrdiff_t>(first), whole.end()));
  }
  CHECK_THROWS_AS(loader.start(2, 9), InternalError);
  CHECK_THROWS_AS(loader.start(-1), InternalError);
}

TEST_CASE("start and the destructor may come at any time") {
  for (int taken = 0; taken < 6; ++taken) {
    Loader loader(numbered(200), no_mean, unit_std, options_of(3, true, true));
    for (std::int64_t epoch = 0; epoch < 20; ++epoch) {
      loader.start(epoch, epoch % 5);
      Batch batch;
      for (int i = 0; i < taken; ++i) {
        REQUIRE(loader.next(batch));
        const auto order = shuffled_order(200, 11, epoch);
        REQUIRE(batch.labels.data<std::int32_t>()[0] == order[static_cast<std::size_t>(3 * (epoch % 5 + i))]);
      }
      if (epoch % 3 == 0) std::this_thread::yield();
    }
  }
  for (int i = 0; i < 50; ++i) Loader(numbered(10), no_mean, unit_std, options_of(3, true, true)).start(0);
}

TEST_CASE("batches outlive the loader") {
  Batch first, second;
  {
    Loader loader(numbered(8), no_mean, unit_std, options_of(4, false, true));
    loader.start(0);
    loader.next(first);
    loader.next(second);
  }
  CHECK(first.labels.to_vector<std::int32_t>() == std::vector<std::int32_t>{0, 1, 2, 3});
  CHECK(second.x.to_vector<float>()[3] == Approx(7));
}

TEST_CASE("sets without images have no batches") {
  const bool prefetch = GENERATE(false, true);
  Loader loader(ImageSet{Tensor::zeros({0, 1, 1, 1}, DType::uint8), Tensor::zeros({0}, DType::int32)}, no_mean,
                unit_std, options_of(4, true, prefetch));
  CHECK(loader.batches() == 0);
  loader.start(0);
  Batch batch;
  CHECK_FALSE(loader.next(batch));
}

TEST_CASE("what goes wrong on the thread is thrown by next") {
  const bool prefetch = GENERATE(false, true);
  ImageSet set = numbered(8);
  set.images = Tensor::zeros({8, 1, 1, 1}, DType::float32);  // no bytes
  Loader loader(set, no_mean, unit_std, options_of(4, false, prefetch));
  for (int i = 0; i < 2; ++i) {
    loader.start(0);
    Batch batch;
    CHECK_THROWS_AS(loader.next(batch), InternalError);
    CHECK_THROWS_AS(loader.next(batch), InternalError);
  }
}

TEST_CASE("mistakes of the caller are refused") {
  CHECK_THROWS_AS(Loader(numbered(8), no_mean, unit_std, options_of(0, true, true)), InternalError);
  Loader loader(numbered(8), no_mean, unit_std, options_of(4, true, true));
  Batch batch;
  CHECK_THROWS_AS(loader.next(batch), InternalError);
}
