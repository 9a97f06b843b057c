#include "kernels/augment.h"

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

TEMPLATE_TEST_CASE("images are gathered, cropped, flipped and normalised as on the CPU, bit for bit", "", float,
                   double) {
  const std::vector<double> means = {0.4914, 0.4822, 0.4465, 0.3}, stds = {0.2470, 0.2435, 0.2616, 0.5};
  const Shape shape = GENERATE(Shape{40, 32, 32, 3}, Shape{40, 28, 28, 1}, Shape{40, 5, 7, 4}, Shape{40, 1, 1, 2});
  const bool enabled = GENERATE(false, true);
  for (const std::int64_t padding : {0, 1, 4, 9}) {
    CAPTURE(shape.to_string(), padding, enabled);
    Random random(13, Purpose::test);
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(shape.numel()));
    for (std::uint8_t& pixel : pixels) pixel = static_cast<std::uint8_t>(random.next() >> 24);
    std::vector<std::int32_t> chosen = {39, 0, 17, 17, 3};
    if (shape[1] < 8) chosen.resize(100, 20);  // several images per block
    const std::int64_t count = static_cast<std::int64_t>(chosen.size()), channels = shape[3];
    const std::vector<double> mean(means.begin(), means.begin() + channels);
    const std::vector<double> std(stds.begin(), stds.begin() + channels);
    const Tensor table = normalisation_table(mean, std, dtype_of<TestType>::value);
    const Augmentation a{.enabled = enabled, .padding = padding, .seed = 5};
    std::vector<std::int32_t> order = {2, 1};  // two others before the batch
    order.insert(order.end(), chosen.begin(), chosen.end());
    check_parity({Tensor::from(shape, pixels), Tensor::from({count + 2}, order), table,
                  random_tensor<TestType>({count, shape[1], shape[2], channels}, 2)},
                 0, [&](auto& t) {
                   const auto position = step_value(DataPosition{.first = 1, .epoch = 3}, t[0].device());
                   gather_images(t[0], t[1], position, 1, t[2], a, t[3]);
                 });
  }
}

TEST_CASE("labels are gathered as on the CPU") {
  const Tensor labels = Tensor::from<std::int32_t>({5}, {7, 8, 9, 6, 5});
  const Tensor order = Tensor::from<std::int32_t>({6}, {4, 2, 0, 1, 3, 3});
  check_parity({labels, order, Tensor::zeros({3}, DType::int32)}, 0, [](auto& t) {
    gather_labels(t[0], t[1], step_value(DataPosition{.first = 1, .epoch = 0}, t[0].device()), 1, t[2]);
  });
}

TEST_CASE("an empty batch of images is gathered") {
  const Tensor images = Tensor::zeros({4, 2, 2, 3}, DType::uint8), order = Tensor::zeros({4}, DType::int32);
  const Tensor table = Tensor::zeros({3, 256}, DType::float32), labels = Tensor::zeros({4}, DType::int32);
  check_parity(
      {images, order, table, Tensor::empty({0, 2, 2, 3}, DType::float32), labels, Tensor::empty({0}, DType::int32)}, 0,
      [](auto& t) {
        const auto position = step_value(DataPosition{}, t[0].device());
        gather_images(t[0], t[1], position, 0, t[2], {}, t[3]);
        gather_labels(t[4], t[1], position, 0, t[5]);
      });
}
